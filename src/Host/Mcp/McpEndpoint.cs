using System.Text.Json;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace VoicePlatform.Host.Mcp;

/// <summary>
/// The platform as an MCP server, with the tenant's key, at POST /mcp (streamable HTTP, stateless: every request stands for itself and any host
/// answers it). A tool is a request to this host's own API with the same key, so that scopes, limits, validation and tenants are what they are there.
/// </summary>
internal static class McpEndpoint
{
    public const string Client = "self";

    private static readonly Implementation Server = new() { Name = "VoicePlatform", Version = "1" };

    public static void MapMcp(this IEndpointRouteBuilder app)
    {
        app.MapPost("/mcp", AnswerAsync).RequireAuthorization().ExcludeFromDescription();

        // Nothing is sent unasked, and there is no session to end.
        app.MapMethods("/mcp", ["GET", "DELETE"], () => Results.StatusCode(StatusCodes.Status405MethodNotAllowed)).ExcludeFromDescription();
    }

    private static async Task AnswerAsync(HttpContext http, UnitOfWork unit, IHttpClientFactory clients, ILoggerFactory logs)
    {
        var ct = http.RequestAborted;
        JsonRpcMessage? message;
        try
        {
            message = await JsonSerializer.DeserializeAsync<JsonRpcMessage>(http.Request.Body, McpJsonUtilities.DefaultOptions, ct);
        }
        catch (JsonException)
        {
            message = null;
        }

        if (message is null)
        {
            await http.WriteProblemAsync(StatusCodes.Status400BadRequest, new Error(ErrorKind.Malformed, "request.malformed", "The body is not a JSON-RPC message."));
            return;
        }

        // What follows asks this host again.
        await unit.ReleaseAsync();
        await using var transport = new StreamableHttpServerTransport(logs) { Stateless = true };
        await using var server = McpServer.Create(transport, Options(http, clients), logs, http.RequestServices);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var running = server.RunAsync(over.Token);
        http.Response.ContentType = "text/event-stream";
        http.Response.Headers.CacheControl = "no-cache, no-store";
        if (!await transport.HandlePostRequestAsync(message, http.Response.Body, ct))
        {
            http.Response.ContentType = null;
            http.Response.StatusCode = StatusCodes.Status202Accepted;
        }

        await over.CancelAsync();
        await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private static McpServerOptions Options(HttpContext http, IHttpClientFactory clients) => new()
    {
        ServerInfo = Server,
        ServerInstructions = "Voice assistants that talk on the telephone and in browsers: manage assistants, place calls, read transcripts and credits. Amounts are micro-credits (1 credit = 1,000,000).",
        Capabilities = new ServerCapabilities { Tools = new ToolsCapability() },
        ScopeRequests = false,
        Handlers = new McpServerHandlers
        {
            ListToolsHandler = (_, _) => ValueTask.FromResult(new ListToolsResult { Tools = [.. McpOperations.All.Select(Describe)] }),
            CallToolHandler = (call, ct) => CallAsync(call.Params!, http, clients, ct),
        },
    };

    private static Tool Describe(McpOperation operation) => new()
    {
        Name = operation.Name,
        Description = operation.Description,
        InputSchema = JsonElement.Parse(operation.SchemaJson),
        Annotations = new ToolAnnotations { ReadOnlyHint = operation.ReadOnly, DestructiveHint = !operation.ReadOnly },
    };

    private static async ValueTask<CallToolResult> CallAsync(CallToolRequestParams call, HttpContext http, IHttpClientFactory clients, CancellationToken ct)
    {
        if (McpOperations.All.FirstOrDefault(o => o.Name == call.Name) is not { } operation)
        {
            throw new McpProtocolException($"There is no tool '{call.Name}'.", McpErrorCode.InvalidParams);
        }

        try
        {
            using var request = operation.Request(call.Arguments ?? new Dictionary<string, JsonElement>());
            foreach (var header in (string[])["x-api-key", "authorization", "idempotency-key"])
            {
                if (http.Request.Headers[header] is { Count: > 0 } value)
                {
                    request.Headers.TryAddWithoutValidation(header, value.ToString());
                }
            }

            request.Headers.TryAddWithoutValidation(OnBehalf.Header, OnBehalf.Of(http));
            using var answer = await clients.CreateClient(Client).SendAsync(request, ct);
            return Told(await answer.Content.ReadAsStringAsync(ct), !answer.IsSuccessStatusCode);
        }
        catch (FormatException e)
        {
            return Told(e.Message, isError: true);
        }
        catch (HttpRequestException)
        {
            return Told("The platform does not answer itself; try again.", isError: true);
        }
    }

    private static CallToolResult Told(string text, bool isError) => new() { Content = [new TextContentBlock { Text = text }], IsError = isError };
}
