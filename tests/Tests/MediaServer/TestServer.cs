using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.LiveKit.Webhooks;
using VoicePlatform.MediaServer;

namespace VoicePlatform.Tests.MediaServer;

/// <summary>An embedded server on free ports, with a receiver for its webhooks, and ways to speak to it.</summary>
internal sealed class TestServer : IAsyncDisposable
{
    public static readonly ApiKey Key = new("devkey", "secret-secret-secret-secret-secret");

    private readonly HttpListener _webhookListener;
    private readonly Task _webhookLoop;

    private TestServer(EmbeddedServer server, HttpListener webhookListener)
    {
        Server = server;
        _webhookListener = webhookListener;
        _webhookLoop = ReceiveWebhooksAsync();
        Http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{server.Port}") };
    }

    public EmbeddedServer Server { get; }

    public HttpClient Http { get; }

    public ConcurrentQueue<WebhookEvent> Webhooks { get; } = new();

    /// <summary>What the webhook receiver answers.</summary>
    public Func<WebhookEvent, int> AnswerWebhook { get; set; } = _ => 200;

    public static async Task<TestServer> StartAsync(Func<MediaServerOptions, MediaServerOptions>? configure = null, ILoggerFactory? logs = null, TimeProvider? clock = null, Task? receiversListen = null)
    {
        var (listener, url) = Listen();
        var options = new MediaServerOptions
        {
            ApiKeys = new Dictionary<string, string> { [Key.Id] = Key.Secret },
            Port = 0,
            MediaUdpPort = 0,
            WebhookUrls = [url],
        };
        var server = new EmbeddedServer(configure?.Invoke(options) ?? options, clock ?? TimeProvider.System, logs ?? NullLoggerFactory.Instance, receiversListen);
        await server.StartAsync(CancellationToken.None);
        return new TestServer(server, listener);
    }

    public static string Token(VideoGrant grant, string identity = "", Func<AccessToken, AccessToken>? more = null, TimeSpan? lifetime = null)
    {
        var token = new AccessToken { Identity = identity, Video = grant };
        return (more?.Invoke(token) ?? token).Sign(Key, TimeProvider.System.GetUtcNow(), lifetime);
    }

    public static string JoinToken(string room, string identity, Func<VideoGrant, VideoGrant>? grant = null, Func<AccessToken, AccessToken>? more = null)
    {
        var join = new VideoGrant { RoomJoin = true, Room = room };
        return Token(grant?.Invoke(join) ?? join, identity, more);
    }

    public Task<SignalClient> JoinAsync(
        string room,
        string identity,
        JoinRequest? request = null,
        Func<VideoGrant, VideoGrant>? grant = null,
        Func<AccessToken, AccessToken>? more = null) =>
        SignalClient.ConnectAsync(Server.Port, JoinToken(room, identity, grant, more), request ?? new JoinRequest());

    /// <summary>A server API call with a JSON body; fails the test if it is refused.</summary>
    public async Task<JsonElement> CallAsync(string method, VideoGrant grant, object request)
    {
        using var response = await PostAsync(method, Token(grant), JsonContent.Create(request));
        var body = await response.Content.ReadAsStringAsync();
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK), body);
        return JsonDocument.Parse(body).RootElement;
    }

    public Task<HttpResponseMessage> PostAsync(string method, string? token, HttpContent content)
    {
        var path = method.Contains('/', StringComparison.Ordinal) ? method : $"livekit.RoomService/{method}";
        var message = new HttpRequestMessage(HttpMethod.Post, $"/twirp/{path}") { Content = content };
        if (content.Headers.ContentType is { } type)
        {
            type.CharSet = null;
        }

        if (token is not null)
        {
            message.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        }

        return Http.SendAsync(message);
    }

    public async Task<WebhookEvent> WebhookAsync(string name, Func<WebhookEvent, bool>? such = null)
    {
        WebhookEvent? found = null;
        await Until(() => (found = Webhooks.FirstOrDefault(w => w.Event == name && such?.Invoke(w) is not false)) is not null, $"webhook {name}");
        return found!;
    }

    public static async Task Until(Func<bool> condition, string what, int milliseconds = 20_000)
    {
        var started = TimeProvider.System.GetTimestamp();
        while (!condition())
        {
            if (TimeProvider.System.GetElapsedTime(started).TotalMilliseconds > milliseconds)
            {
                Assert.Fail($"Not within {milliseconds} ms: {what}");
            }

            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        Http.Dispose();
        _webhookListener.Stop();
        await _webhookLoop;
        _webhookListener.Close();
    }

    private static (HttpListener Listener, Uri Url) Listen()
    {
        // HttpListener cannot choose a free port itself.
        for (var attempt = 0; ; attempt++)
        {
            var port = Random.Shared.Next(20_000, 60_000);
            var listener = new HttpListener();
            listener.Prefixes.Add($"http://127.0.0.1:{port}/");
            try
            {
                listener.Start();
                return (listener, new Uri($"http://127.0.0.1:{port}/webhook"));
            }
            catch (HttpListenerException) when (attempt < 50)
            {
                listener.Close();
            }
        }
    }

    private async Task ReceiveWebhooksAsync()
    {
        var receiver = new WebhookReceiver(new TokenVerifier(Key, TimeProvider.System));
        while (_webhookListener.IsListening)
        {
            try
            {
                var context = await _webhookListener.GetContextAsync();
                using var body = new MemoryStream();
                await context.Request.InputStream.CopyToAsync(body);
                var genuine = receiver.TryReceive(body.ToArray(), context.Request.Headers["Authorization"], out var webhook, out _)
                    && context.Request.ContentType == "application/webhook+json";
                context.Response.StatusCode = genuine ? AnswerWebhook(webhook!) : 401;
                if (context.Response.StatusCode == 200)
                {
                    Webhooks.Enqueue(webhook!);
                }

                context.Response.Close();
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException or InvalidOperationException)
            {
                return;
            }
        }
    }
}
