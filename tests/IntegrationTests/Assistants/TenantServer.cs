using System.Collections.Concurrent;
using System.Net;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace VoicePlatform.IntegrationTests.Assistants;

internal sealed record Asked(string Method, string PathAndQuery, IReadOnlyDictionary<string, string> Headers, JsonNode? Body);

/// <summary>A server of the tenant's on loopback: webhook tools under /tool, an MCP server at /mcp, OpenAI's chat protocol under /v1.</summary>
internal sealed class TenantServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private TenantServer(WebApplication app) => _app = app;

    public string Url => _app.Urls.First();

    public ConcurrentQueue<Asked> Asked { get; } = new();

    /// <summary>How a webhook tool is answered.</summary>
    public Func<HttpContext, Task> Tool { get; set; } = http => http.Response.WriteAsync("""{"status":"shipped"}""");

    /// <summary>An answer of the MCP server that is not the usual one: its result for the request, or null.</summary>
    public Func<HttpContext, JsonNode?, Task<object?>> Mcp { get; set; } = (_, _) => Task.FromResult<object?>(null);

    /// <summary>The chunks of a chat completion, for the messages and tools that were sent.</summary>
    public Func<JsonNode, IEnumerable<object>> Chat { get; set; } = _ => [];

    public static async Task<TenantServer> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0));
        var server = new TenantServer(builder.Build());
        server._app.Run(server.AnswerAsync);
        await server._app.StartAsync();
        return server;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task AnswerAsync(HttpContext http)
    {
        using var reader = new StreamReader(http.Request.Body);
        var text = await reader.ReadToEndAsync();
        var body = text.Length > 0 ? JsonNode.Parse(text) : null;
        Asked.Enqueue(new(
            http.Request.Method, http.Request.Path + http.Request.QueryString.ToString(),
            http.Request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString(), StringComparer.OrdinalIgnoreCase), body));
        if (http.Request.Path.StartsWithSegments("/tool", StringComparison.Ordinal))
        {
            await Tool(http);
        }
        else if (http.Request.Path.StartsWithSegments("/mcp", StringComparison.Ordinal))
        {
            await McpAsync(http, body);
        }
        else
        {
            http.Response.ContentType = "text/event-stream";
            foreach (var chunk in Chat(body!))
            {
                await http.Response.WriteAsync($"data: {System.Text.Json.JsonSerializer.Serialize(chunk)}\n\n");
            }

            await http.Response.WriteAsync("data: [DONE]\n\n");
        }
    }

    /// <summary>MCP over streamable HTTP, answering each request as plain JSON.</summary>
    private async Task McpAsync(HttpContext http, JsonNode? request)
    {
        var result = await Mcp(http, request) ?? request?["method"]?.GetValue<string>() switch
        {
            "initialize" => new
            {
                protocolVersion = request["params"]!["protocolVersion"]!.GetValue<string>(), capabilities = new { tools = new { } }, serverInfo = new { name = "stock", version = "1" },
            },
            "tools/list" => new
            {
                tools = new[] { "stock_level", "erase_everything" }.Select(name => new
                {
                    name, description = $"The {name} of a product.", inputSchema = new { type = "object", properties = new { text = new { type = "string" } } },
                }),
            },
            "tools/call" => new { content = new[] { new { type = "text", text = $"{request["params"]!["name"]}: 42 for {request["params"]!["arguments"]!["text"]}" } } },
            _ => (object?)null,
        };
        if (result is null && request?["id"] is null)
        {
            http.Response.StatusCode = http.Request.Method == "POST" ? 202 : 405;
            return;
        }

        http.Response.ContentType = "application/json";
        await http.Response.WriteAsync(System.Text.Json.JsonSerializer.Serialize(result is null
            ? new { jsonrpc = "2.0", id = request!["id"], error = new { code = -32601, message = "Method not found" } }
            : (object)new { jsonrpc = "2.0", id = request!["id"], result }));
    }
}
