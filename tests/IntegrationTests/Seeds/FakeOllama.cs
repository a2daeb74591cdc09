using System.Collections.Concurrent;
using System.Net;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace VoicePlatform.IntegrationTests.Seeds;

/// <summary>Ollama's OpenAI door as it speaks: server-sent chunks, its ids and fingerprint, its errors. Knows one model.</summary>
internal sealed class FakeOllama : IAsyncDisposable
{
    private readonly WebApplication _app;

    private FakeOllama(WebApplication app) => _app = app;

    public string Url => _app.Urls.First();

    /// <summary>What it was asked, as JSON.</summary>
    public ConcurrentQueue<JsonNode> Asked { get; } = new();

    public Func<JsonNode, string> Answer { get; set; } = _ => "Hello from Ollama.";

    /// <summary>The one it knows.</summary>
    public string Model { get; set; } = "ministral-3:8b";

    /// <summary>Before the first byte: a model that is being loaded.</summary>
    public TimeSpan Loads { get; set; }

    public static async Task<FakeOllama> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0));
        var fake = new FakeOllama(builder.Build());
        fake._app.MapPost("/v1/chat/completions", fake.ChatAsync);
        await fake._app.StartAsync();
        return fake;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task ChatAsync(HttpContext http)
    {
        var request = (await JsonNode.ParseAsync(http.Request.Body))!;
        Asked.Enqueue(request);
        if (request["model"]!.GetValue<string>() != Model)
        {
            http.Response.StatusCode = 404;
            await http.Response.WriteAsync($$$"""{"error":{"message":"model '{{{request["model"]}}}' not found","type":"not_found_error","param":null,"code":null}}""");
            return;
        }

        await Task.Delay(Loads, TimeProvider.System, http.RequestAborted);
        http.Response.ContentType = "text/event-stream";
        foreach (var word in Answer(request).Split(' ').Select((w, i) => i == 0 ? w : " " + w))
        {
            await SendAsync(http, new JsonArray(new JsonObject { ["index"] = 0, ["delta"] = new JsonObject { ["role"] = "assistant", ["content"] = word }, ["finish_reason"] = null }));
        }

        await SendAsync(http, new JsonArray(new JsonObject { ["index"] = 0, ["delta"] = new JsonObject(), ["finish_reason"] = "stop" }));
        if (request["stream_options"]?["include_usage"]?.GetValue<bool>() is true)
        {
            await SendAsync(http, [], new JsonObject { ["prompt_tokens"] = 26, ["completion_tokens"] = 5, ["total_tokens"] = 31 });
        }

        await http.Response.WriteAsync("data: [DONE]\n\n");
    }

    private Task SendAsync(HttpContext http, JsonArray choices, JsonObject? usage = null) => http.Response.WriteAsync(
        $"data: {new JsonObject { ["id"] = "chatcmpl-421", ["object"] = "chat.completion.chunk", ["created"] = 1_790_000_000, ["model"] = Model, ["system_fingerprint"] = "fp_ollama", ["choices"] = choices, ["usage"] = usage }.ToJsonString()}\n\n");
}
