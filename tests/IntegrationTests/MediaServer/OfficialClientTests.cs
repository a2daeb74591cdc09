using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.LiveKit.Webhooks;
using VoicePlatform.MediaServer;

namespace VoicePlatform.IntegrationTests.MediaServer;

/// <summary>LiveKit's unmodified clients against the embedded server: real WebRTC, real signalling.</summary>
[RealTime]
internal sealed class OfficialClientTests
{
    private static readonly ApiKey Key = new("devkey", "secret-secret-secret-secret-secret");

    [Test]
    public async Task Two_native_clients_hold_a_conversation_while_the_server_api_acts_on_it()
    {
        var events = new List<WebhookEvent>();
        await using var webhooks = await ReceiveWebhooksAsync(events);
        await using var server = await StartAsync(new Uri(webhooks.Urls.First() + "/webhook"));
        await using var script = await NodeScript.StartAsync("conversation.mjs", server.Url, Key.Id, Key.Secret);

        var heard = await script.StepAsync("heard");
        Assert.That(heard.GetProperty("tone").GetDouble(), Is.GreaterThan(0.3));
        Assert.That(heard.GetProperty("other").GetDouble(), Is.LessThan(0.1));
        var text = await script.StepAsync("text");
        Assert.That((text.GetProperty("whole").GetBoolean(), text.GetProperty("from").GetString()), Is.EqualTo((true, "alice")));
        Assert.That((await script.StepAsync("rpc")).GetProperty("answer").GetString(), Is.EqualTo("hello you from alice"));
        var listed = (await script.StepAsync("listed")).GetProperty("participants");
        Assert.That(listed[0].GetProperty("tracks")[0].GetString(), Is.EqualTo("audio/red"));
        Assert.That(listed.EnumerateArray().Select(p => p.GetProperty("state").GetInt32()), Is.All.EqualTo((int)ParticipantInfo.Types.State.Active));
        Assert.That((await script.StepAsync("remote unmute")).GetProperty("refused").GetString(), Is.EqualTo("failed_precondition"));

        await script.StepAsync("server calls bob");
        Assert.That(await CallRpcAsync(server), Is.EqualTo("hello us from server"));
        await script.GoOnAsync();

        Assert.That((await script.StepAsync("revoked")).GetProperty("refused").GetString(), Is.EqualTo("yes"));
        Assert.That((await script.StepAsync("removed")).GetProperty("reason").GetInt32(), Is.EqualTo((int)DisconnectReason.ParticipantRemoved));
        await script.StepAsync("end");
        await server.StopAsync(CancellationToken.None);
        Assert.That(events.Select(e => $"{e.Event} {e.Participant?.Identity}".TrimEnd()), Is.EqualTo(new[]
        {
            "room_started", "participant_joined alice", "participant_joined bob", "track_published alice", "track_unpublished alice",
            "participant_left bob", "participant_left alice", "room_finished",
        }));
        Assert.That(events.Single(e => e.Event == "track_published").Track.MimeType, Is.EqualTo("audio/red"));
        Assert.That(events.Where(e => e.Event == "participant_left").Select(e => e.Participant.DisconnectReason),
            Is.EqualTo(new[] { DisconnectReason.ParticipantRemoved, DisconnectReason.ClientInitiated }));
    }

    [Test]
    public async Task A_native_client_that_was_cut_off_resumes_or_joins_anew_without_silence_for_long()
    {
        await using var server = await StartAsync();
        await using var proxy = new SignalProxy(server.Port);
        await using var script = await NodeScript.StartAsync("reconnect.mjs", new Uri($"ws://127.0.0.1:{proxy.Port}"), Key.Id, Key.Secret);

        var before = (await script.StepAsync("cut for resume")).GetProperty("sid").GetString();
        proxy.Cut();
        await script.GoOnAsync();
        var resumed = await script.StepAsync("resume done");
        Assert.That(resumed.GetProperty("sid").GetString(), Is.EqualTo(before), "the same participant");
        Assert.That(resumed.GetProperty("left").GetInt32(), Is.Zero, "nobody was told of a departure");

        await script.StepAsync("cut for full");
        var room = server.Rooms.Find("cut")!;
        await room.AskAsync(() => room.RemoveParticipant("alice", DisconnectReason.StateMismatch, LeaveRequest.Types.Action.Reconnect), CancellationToken.None);
        await script.GoOnAsync();
        var anew = await script.StepAsync("full done");
        Assert.That(anew.GetProperty("sid").GetString(), Is.Not.EqualTo(before));
        Assert.That(anew.GetProperty("left").GetInt32(), Is.EqualTo(1));
        await script.StepAsync("end");
    }

    [Test]
    public async Task Six_native_clients_all_hear_each_other_also_after_one_went_and_one_came()
    {
        await using var server = await StartAsync();
        await using var script = await NodeScript.StartAsync("crowd.mjs", server.Url, Key.Id, Key.Secret);
        Assert.That((await script.StepAsync("complete")).GetProperty("participants").GetInt32(), Is.EqualTo(6));
        await script.StepAsync("end");
    }

    [Test]
    public async Task Subscriptions_follow_choice_server_and_rights()
    {
        await using var server = await StartAsync();
        await using var script = await NodeScript.StartAsync("selective.mjs", server.Url, Key.Id, Key.Secret);
        Assert.That((await script.StepAsync("not subscribed")).GetProperty("subscriptions").GetInt32(), Is.Zero);
        Assert.That((await script.StepAsync("without the right")).GetProperty("tone").GetDouble(), Is.LessThan(0.01));
        await script.StepAsync("heard again");
        await script.StepAsync("end");
    }

    [Test]
    public async Task A_client_that_dies_without_a_word_is_noticed_and_removed()
    {
        var events = new List<WebhookEvent>();
        await using var webhooks = await ReceiveWebhooksAsync(events);
        await using var server = await StartAsync(new Uri(webhooks.Urls.First() + "/webhook"), o => o with { ReconnectGrace = TimeSpan.FromSeconds(1) });
        await using var script = await NodeScript.StartAsync("silent-end.mjs", server.Url, Key.Id, Key.Secret);
        await script.StepAsync("in");
        script.Kill();
        WebhookEvent? left = null;
        var started = TimeProvider.System.GetTimestamp();
        while (left is null && TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromSeconds(15))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System);
            lock (events)
            {
                left = events.Find(e => e.Event == "participant_left");
            }
        }

        Assert.That(left?.Participant.DisconnectReason, Is.EqualTo(DisconnectReason.ConnectionTimeout).Or.EqualTo(DisconnectReason.SignalClose));
    }

    [Test]
    public async Task LiveKits_own_receiver_accepts_the_webhooks()
    {
        await using var script = await NodeScript.StartAsync("webhooks.mjs", new Uri("ws://127.0.0.1:1"), Key.Id, Key.Secret);
        var port = (await script.StepAsync("listening")).GetProperty("port").GetInt32();
        await using var server = await StartAsync(new Uri($"http://127.0.0.1:{port}/"));
        server.Rooms.GetOrCreate(new RoomConfiguration(), "w", out _);
        var started = await script.StepAsync("received");
        Assert.That((started.GetProperty("event").GetString(), started.GetProperty("room").GetString()), Is.EqualTo(("room_started", "w")));
        Assert.That(started.GetProperty("forged").GetBoolean(), Is.False);
        Assert.That(started.GetProperty("type").GetString(), Is.EqualTo("application/webhook+json"));
        await server.StopAsync(CancellationToken.None);
        Assert.That((await script.StepAsync("received")).GetProperty("event").GetString(), Is.EqualTo("room_finished"));
    }

    [Test]
    public async Task Two_browser_pages_talk_and_survive_resume_full_reconnect_and_node_failure()
    {
        await using var server = await StartAsync();
        await using var script = await NodeScript.StartAsync("browser.mjs", server.Url, Key.Id, Key.Secret);
        Assert.That((await script.StepAsync("talking")).GetProperty("mime").GetString(), Is.EqualTo("audio/red"));
        var resumed = await script.StepAsync("resumed");
        Assert.That((resumed.GetProperty("same").GetBoolean(), resumed.GetProperty("left").GetInt32()), Is.EqualTo((true, 0)));
        Assert.That((await script.StepAsync("reconnected")).GetProperty("same").GetBoolean(), Is.False);
        await script.StepAsync("recovered");
        await script.StepAsync("end");
    }

    private static async Task<EmbeddedServer> StartAsync(Uri? webhooks = null, Func<MediaServerOptions, MediaServerOptions>? configure = null)
    {
        var options = new MediaServerOptions
        {
            ApiKeys = new Dictionary<string, string> { [Key.Id] = Key.Secret },
            Port = 0,
            MediaUdpPort = 0,
            WebhookUrls = webhooks is null ? [] : [webhooks],
        };
        var server = new EmbeddedServer(configure?.Invoke(options) ?? options, TimeProvider.System, NullLoggerFactory.Instance);
        await server.StartAsync(CancellationToken.None);
        return server;
    }

    private static async Task<string?> CallRpcAsync(EmbeddedServer server)
    {
        using var http = new HttpClient();
        var token = new AccessToken { Video = new VideoGrant { RoomAdmin = true, Room = "talk" } }.Sign(Key, TimeProvider.System.GetUtcNow());
        http.DefaultRequestHeaders.Authorization = new("Bearer", token);
        using var response = await http.PostAsync(
            new Uri($"http://127.0.0.1:{server.Port}/twirp/livekit.RoomService/PerformRpc"),
            new StringContent("""{"room":"talk","destinationIdentity":"bob","method":"greet","payload":"us"}""", Encoding.UTF8, "application/json"));
        return PerformRpcResponse.Parser.ParseJson(await response.Content.ReadAsStringAsync()).Payload;
    }

    private static async Task<WebApplication> ReceiveWebhooksAsync(List<WebhookEvent> events)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        var app = builder.Build();
        var receiver = new WebhookReceiver(new TokenVerifier(Key, TimeProvider.System));
        app.MapPost("/webhook", async (HttpContext context) =>
        {
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body);
            if (!receiver.TryReceive(body.ToArray(), context.Request.Headers.Authorization, out var webhook, out var refusal))
            {
                return Results.Text(refusal, statusCode: 401);
            }

            lock (events)
            {
                events.Add(webhook);
            }

            return Results.Ok();
        });
        await app.StartAsync();
        return app;
    }
}
