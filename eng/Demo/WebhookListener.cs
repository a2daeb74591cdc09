using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace VoicePlatform.Demo;

/// <summary>What arrived, and whether its signature is the one our secret makes.</summary>
internal sealed record ReceivedWebhook(string Id, string Body, string Signature, bool IsGenuine);

/// <summary>A tenant's receiver of webhooks, on loopback. Verifies as Standard Webhooks says, with nothing of the platform's code.</summary>
internal sealed class WebhookListener : IAsyncDisposable
{
    private readonly Channel<ReceivedWebhook> _received = Channel.CreateBounded<ReceivedWebhook>(100);
    private readonly WebApplication _app;

    private WebhookListener(WebApplication app) => _app = app;

    /// <summary>"whsec_" and base64, once the platform has told it.</summary>
    public string Secret { get; set; } = "";

    public string Url => _app.Urls.First() + "/completed";

    public static async Task<WebhookListener> StartAsync(CancellationToken ct)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0));
        var listener = new WebhookListener(builder.Build());
        listener._app.MapPost("/completed", listener.ReceiveAsync);
        await listener._app.StartAsync(ct);
        return listener;
    }

    public ValueTask<ReceivedWebhook> NextAsync(CancellationToken ct) => _received.Reader.ReadAsync(ct);

    public bool TryNext(out ReceivedWebhook? next) => _received.Reader.TryRead(out next);

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task<IResult> ReceiveAsync(HttpRequest request)
    {
        using var body = new MemoryStream();
        await request.Body.CopyToAsync(body);
        var id = request.Headers["webhook-id"].ToString();
        var signature = request.Headers["webhook-signature"].ToString();
        var signed = Encoding.UTF8.GetBytes($"{id}.{request.Headers["webhook-timestamp"]}.").Concat(body.ToArray()).ToArray();
        var expected = "v1," + Convert.ToBase64String(HMACSHA256.HashData(Convert.FromBase64String(Secret["whsec_".Length..]), signed));
        var genuine = CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(expected), Encoding.UTF8.GetBytes(signature));
        await _received.Writer.WriteAsync(new(id, Encoding.UTF8.GetString(body.ToArray()), signature, genuine));
        return Results.Ok();
    }
}
