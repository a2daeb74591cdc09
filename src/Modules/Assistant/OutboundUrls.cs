using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Tenants;

namespace VoicePlatform.Assistants;

/// <summary>An address that the platform may not reach is refused when it is written, not in the middle of a call.</summary>
internal static class OutboundUrls
{
    public static Task<Error?> RefusalOfUrlAsync(this IMediator mediator, ToolDocument tool, CancellationToken ct)
    {
        var (url, field) = tool.Webhook is { } webhook ? (webhook.Url, "webhook.url") : (tool.Mcp?.Url, "mcp.url");

        // What a placeholder makes of the host is only known when it is called; the guard is asked again then.
        return mediator.RefusalOfUrlAsync(url?.Contains("{{", StringComparison.Ordinal) == true ? null : url, field, ct);
    }

    public static Task<Error?> RefusalOfUrlAsync(this IMediator mediator, AssistantDocument assistant, CancellationToken ct) =>
        mediator.RefusalOfUrlAsync(assistant.EndCallUrl, "end_call_url", ct);

    /// <param name="url">Null: there is nothing to refuse.</param>
    public static async Task<Error?> RefusalOfUrlAsync(this IMediator mediator, string? url, string field, CancellationToken ct) =>
        url is not null && (await mediator.Send(new CheckTenantUrl(url), ct)).Value.Refusal is { } refusal ? Error.Field(field, "not_allowed", refusal) : null;
}
