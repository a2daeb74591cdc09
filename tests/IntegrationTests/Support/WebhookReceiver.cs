using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace VoicePlatform.IntegrationTests.Support;

internal sealed record Received(string Id, string Timestamp, string Signature, byte[] Body)
{
    public JsonNode Json => JsonNode.Parse(Body)!;

    public bool IsSignedWith(string secret)
    {
        var signed = Encoding.UTF8.GetBytes($"{Id}.{Timestamp}.").Concat(Body).ToArray();
        var expected = "v1," + Convert.ToBase64String(HMACSHA256.HashData(Convert.FromBase64String(secret["whsec_".Length..]), signed));
        return Signature.Split(' ').Contains(expected);
    }
}

/// <summary>A tenant's receiver on loopback; answers as told.</summary>
internal sealed class WebhookReceiver : IAsyncDisposable
{
    private readonly Channel<Received> _received = Channel.CreateBounded<Received>(1000);
    private readonly Func<int, Received, HttpContext, Task<IResult>> _answer;
    private readonly WebApplication _app;
    private int _count;

    private WebhookReceiver(WebApplication app, Func<int, Received, HttpContext, Task<IResult>> answer) => (_app, _answer) = (app, answer);

    public string Url => _app.Urls.First() + "/hook";

    /// <param name="answer">The status for the nth request, from 1.</param>
    public static Task<WebhookReceiver> StartAsync(Func<int, Received, int>? answer = null) =>
        StartAsync((n, received, _) => Task.FromResult(Results.StatusCode(answer?.Invoke(n, received) ?? StatusCodes.Status200OK)));

    /// <param name="answer">The answer to the nth request, from 1; may take its time.</param>
    public static async Task<WebhookReceiver> StartAsync(Func<int, Received, HttpContext, Task<IResult>> answer)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0));
        var receiver = new WebhookReceiver(builder.Build(), answer);
        receiver._app.MapPost("/hook", receiver.ReceiveAsync);
        await receiver._app.StartAsync();
        return receiver;
    }

    public async Task<Received> NextAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20), TimeProvider.System);
        return await _received.Reader.ReadAsync(patience.Token);
    }

    public bool IsEmpty => _received.Reader.Count == 0;

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task<IResult> ReceiveAsync(HttpRequest request)
    {
        using var body = new MemoryStream();
        await request.Body.CopyToAsync(body);
        var received = new Received(
            request.Headers["webhook-id"].ToString(), request.Headers["webhook-timestamp"].ToString(), request.Headers["webhook-signature"].ToString(), body.ToArray());
        await _received.Writer.WriteAsync(received);
        return await _answer(Interlocked.Increment(ref _count), received, request.HttpContext);
    }
}
