using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace VoicePlatform.IntegrationTests.Calls;

/// <summary>A tenant's server that is asked who calls.</summary>
internal sealed class ContextServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private ContextServer(WebApplication app) => _app = app;

    public string Url => _app.Urls.First() + "/context";

    public string Asked { get; private set; } = "";

    public static async Task<ContextServer> StartAsync(string answer, int delayMs = 0)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0));
        var server = new ContextServer(builder.Build());
        server._app.MapPost("/context", async (HttpContext http) =>
        {
            using var reader = new StreamReader(http.Request.Body);
            server.Asked = await reader.ReadToEndAsync();
            await Task.Delay(TimeSpan.FromMilliseconds(delayMs), TimeProvider.System, http.RequestAborted);
            return Results.Text(answer, "application/json");
        });
        await server._app.StartAsync();
        return server;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
