using System.Collections.Concurrent;
using System.Net;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace VoicePlatform.IntegrationTests.Seeds;

internal sealed record Joining(string Path, string Authorization, string Secret, JsonNode Body);

/// <summary>Seed 000's AI server: takes join requests, and answers as told.</summary>
internal sealed class FakeAiServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private FakeAiServer(WebApplication app) => _app = app;

    public string Url => _app.Urls.First();

    public ConcurrentQueue<Joining> Asked { get; } = new();

    public int Status { get; set; } = 200;

    public TimeSpan Takes { get; set; }

    public static async Task<FakeAiServer> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0));
        var fake = new FakeAiServer(builder.Build());
        fake._app.MapPost("/{**path}", fake.JoinAsync);
        await fake._app.StartAsync();
        return fake;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task JoinAsync(HttpContext http)
    {
        var headers = http.Request.Headers;
        Asked.Enqueue(new(http.Request.Path, headers.Authorization.ToString(), headers["x-shared-secret"].ToString(), (await JsonNode.ParseAsync(http.Request.Body))!));
        await Task.Delay(Takes, TimeProvider.System, http.RequestAborted);
        http.Response.StatusCode = Status;
    }
}
