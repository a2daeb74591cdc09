using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer;
using VoicePlatform.MediaServer.Webhooks;
using VoicePlatform.Tests.Support;

namespace VoicePlatform.Tests.MediaServer;

internal sealed class WebhookSenderTests
{
    [Test]
    public async Task A_refused_webhook_is_tried_again_and_the_order_in_a_room_is_kept()
    {
        await using var server = await TestServer.StartAsync();
        var refusals = 2;
        server.AnswerWebhook = _ => Interlocked.Decrement(ref refusals) >= 0 ? 503 : 200;
        for (var i = 0; i < 5; i++)
        {
            server.Server.Webhooks.Enqueue("r", new WebhookEvent { Event = $"e{i}", Room = new Room { Name = "r" } });
        }

        await TestServer.Until(() => server.Webhooks.Count == 5, "five webhooks");
        Assert.That(server.Webhooks.Select(w => w.Event), Is.EqualTo(new[] { "e0", "e1", "e2", "e3", "e4" }));
        Assert.That(server.Webhooks.Select(w => w.Id), Is.Unique.And.All.StartsWith("EV_"));
    }

    [Test]
    public async Task A_receiver_that_is_down_for_one_room_does_not_hold_up_another()
    {
        await using var server = await TestServer.StartAsync();
        server.AnswerWebhook = webhook => webhook.Room.Name == "bad" ? 500 : 200;
        server.Server.Webhooks.Enqueue("bad", new WebhookEvent { Event = "x", Room = new Room { Name = "bad" } });
        server.Server.Webhooks.Enqueue("good", new WebhookEvent { Event = "y", Room = new Room { Name = "good" } });
        await server.WebhookAsync("y");
    }

    [Test]
    public async Task What_does_not_fit_is_counted_and_the_count_is_told()
    {
        await using var server = await TestServer.StartAsync();
        using var open = new ManualResetEventSlim();
        server.AnswerWebhook = _ => open.Wait(5000) ? 200 : 500;
        for (var i = 0; i < WebhookSender.QueueLength + 7; i++)
        {
            server.Server.Webhooks.Enqueue("r", new WebhookEvent { Event = "e", Room = new Room { Name = "r" } });
        }

        Assert.That(server.Server.Webhooks.Dropped, Is.EqualTo(7));
        open.Set();
        await server.WebhookAsync("e", w => w.NumDropped == 7);
    }

    [Test]
    public async Task Nothing_is_sent_before_the_receiver_listens()
    {
        var listens = new TaskCompletionSource();
        await using var server = await TestServer.StartAsync(receiversListen: listens.Task);
        var (early, asked) = (true, 0);
        server.AnswerWebhook = _ => early && Interlocked.Increment(ref asked) > 0 ? 500 : 200;
        var told = new TaskCompletionSource();
        server.Server.Webhooks.Enqueue("r", new WebhookEvent { Event = "first", Room = new Room { Name = "r" } }, told.SetResult);
        await Task.Delay(TimeSpan.FromMilliseconds(300), TimeProvider.System);     // A first try, and its repetition, would have come.
        Assert.That((asked, told.Task.IsCompleted), Is.EqualTo((0, false)));

        early = false;
        listens.SetResult();
        await server.WebhookAsync("first");
        await told.Task.WaitAsync(TimeSpan.FromSeconds(5), TimeProvider.System);
    }

    [Test]
    public async Task Stopping_waits_only_as_long_as_told_for_a_receiver_that_hangs()
    {
        using var hangs = new TcpListener(IPAddress.Loopback, 0);
        hangs.Start();
        var sender = new WebhookSender(Options(((IPEndPoint)hangs.LocalEndpoint).Port, TimeSpan.FromMilliseconds(300)), TimeProvider.System, NullLogger.Instance);
        sender.Enqueue("r", new WebhookEvent { Event = "e" });
        var started = TimeProvider.System.GetTimestamp();
        await sender.DisposeAsync();
        Assert.That(TimeProvider.System.GetElapsedTime(started), Is.InRange(TimeSpan.FromMilliseconds(280), TimeSpan.FromSeconds(5)));
        Assert.That(sender.Dropped, Is.EqualTo(1));
    }

    [Test]
    public async Task Stopping_does_not_wait_for_a_receiver_that_refuses()
    {
        // By this clock a wait never ends.
        var sender = new WebhookSender(Options(9, TimeSpan.FromMinutes(1)), new ManualTime(), NullLogger.Instance);
        sender.Enqueue("r", new WebhookEvent { Event = "e" });
        sender.Enqueue("r", new WebhookEvent { Event = "f" });
        await sender.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(20));
        Assert.That(sender.Dropped, Is.EqualTo(2));
    }

    private static MediaServerOptions Options(int port, TimeSpan flush) => new()
    {
        ApiKeys = new Dictionary<string, string> { ["k"] = "secret-secret-secret-secret" }, WebhookUrls = [new Uri($"http://127.0.0.1:{port}/")], WebhookFlushTimeout = flush,
    };
}
