using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using VoicePlatform.Contracts.Assistants;

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
        using var late = new CancellationTokenSource(TimeSpan.FromSeconds(_webhook.TimeoutS), context.Clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, late.Token);
        try
        {
            using var request = Request(arguments.RootElement);
            using var response = await context.Clients.CreateClient(TenantHttp.Client).SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token);
            var text = await Tools.ReadAsync(response.Content, MaxAnswerBytes, either.Token);
            return response.IsSuccessStatusCode
                ? new ToolOutcome(text.Length == 0 ? "Done." : text)
                : new ToolOutcome($"The server answered {(int)response.StatusCode}. {text}", Failed: true);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            throw new ToolException($"The server did not answer within {_webhook.TimeoutS:0.#} s.");
        }
        catch (IOException e)
        {
            throw new ToolException("The server's answer broke off.", e);
        }
        catch (HttpRequestException e)
        {
            throw new ToolException($"The server could not be reached: {e.Message}", e);
        }
    }

    private HttpRequestMessage Request(JsonElement arguments)
    {
        var headers = ToolHeaders.Fill(_webhook.Headers, context.Variables, secrets);
        var url = Placeholder.Fill(_webhook.Url, context.Variables, Uri.EscapeDataString);
        var hasBody = _webhook.Method is not (WebhookMethod.Get or WebhookMethod.Delete);
        if (!hasBody)
        {
            var query = string.Join('&', arguments.EnumerateObject().Select(a => $"{Uri.EscapeDataString(a.Name)}={Uri.EscapeDataString(a.Value.ToString())}"));
            url += query.Length == 0 ? "" : (url.Contains('?', StringComparison.Ordinal) ? "&" : "?") + query;
        }

        if (!Uri.TryCreate(url, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https"))
        {
            throw new ToolException("The tool's address is no URL with these variables.");
        }

        var request = new HttpRequestMessage(new HttpMethod(_webhook.Method.ToString().ToUpperInvariant()), uri);
        if (hasBody)
        {
            request.Content = new StringContent(
                Json.Write(new { tool = tool.Name, arguments, session_id = context.SessionId, assistant_id = context.AssistantId, call_id = context.CallId }), Encoding.UTF8);
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        }

        request.Headers.TryAddWithoutValidation("user-agent", "VoicePlatform");
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        return request;
    }
}
