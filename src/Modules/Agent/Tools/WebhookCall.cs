using System.Text.Json;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Tenants;

namespace VoicePlatform.Agent.Tools;

/// <summary>Asks the tenant's server: arguments as a JSON body, or in the query where the method has none. Its answer, as text, is the outcome.</summary>
/// <param name="secrets">The tenant's secrets that the headers name.</param>
internal sealed class WebhookCall(ToolDocument tool, ToolContext context, IReadOnlyDictionary<string, string> secrets) : ITool
{
    private const int MaxAnswerBytes = 16 * 1024;

    private readonly WebhookTool _webhook = tool.Webhook!;

    public ToolDefinition Definition { get; } = Tools.Definition(tool);

    public string Say => tool.Say;

    public async Task<ToolOutcome> RunAsync(string argumentsJson, CancellationToken ct)
    {
        using var arguments = Tools.Arguments(argumentsJson);
        var answer = await context.Ask(Request(arguments.RootElement), ct);
        if (!answer.IsOk)
        {
            throw new ToolException(answer.Error.Message);
        }

        var (text, status) = (answer.Value.Text.Trim(), answer.Value.Status);
        return status is >= 200 and < 300
            ? new ToolOutcome(text.Length == 0 ? "Done." : text)
            : new ToolOutcome($"The server answered {status}. {text}", Failed: true);
    }

    private AskTenantServer Request(JsonElement arguments)
    {
        var headers = ToolHeaders.Fill(_webhook.Headers, context.Variables, secrets);
        var url = Placeholder.Fill(_webhook.Url, context.Variables, Uri.EscapeDataString);
        var hasBody = _webhook.Method is not (WebhookMethod.Get or WebhookMethod.Delete);
        if (!hasBody)
        {
            var query = string.Join('&', arguments.EnumerateObject().Select(a => $"{Uri.EscapeDataString(a.Name)}={Uri.EscapeDataString(a.Value.ToString())}"));
            url += query.Length == 0 ? "" : (url.Contains('?', StringComparison.Ordinal) ? "&" : "?") + query;
        }

        var body = hasBody
            ? Json.Write(new { tool = tool.Name, arguments, session_id = context.SessionId, assistant_id = context.AssistantId, call_id = context.CallId })
            : null;
        return new AskTenantServer(
            context.TenantId, url, body, TimeSpan.FromSeconds(_webhook.TimeoutS), MaxAnswerBytes, _webhook.Method.ToString().ToUpperInvariant(), [.. headers],
            FollowsRedirects: true, TakesAnything: true);
    }
}
