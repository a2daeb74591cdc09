using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Tenants;

namespace VoicePlatform.Agent.Providers;

/// <summary>A tenant's own provider keys, kept as secrets of these names; they stand in for the operator's.</summary>
internal static class TenantKeys
{
    public const string OpenAi = "OPENAI_API_KEY";

    public static readonly IReadOnlyDictionary<string, string> None = new Dictionary<string, string>();

    /// <summary>Those that the assistant's models could use.</summary>
    public static IEnumerable<string> Of(AssistantDocument assistant) =>
        assistant.Llm.Fallbacks.Append(assistant.Llm.Model).Any(m => m?.StartsWith("openai/", StringComparison.Ordinal) == true) ? [OpenAi] : [];

    public static async Task<IReadOnlyDictionary<string, string>> ReadAsync(this IMediator mediator, string tenantId, IEnumerable<string> names, CancellationToken ct)
    {
        var needed = names.ToHashSet();
        return needed.Count == 0 ? None : (await mediator.Send(new ReadSecrets(tenantId, needed), ct)).Value.Values;
    }
}
