using System.Net;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Tenants;

internal sealed class WebhookTests
{
    private TestHost _host = null!;
    private TestTenant _tenant = null!;

    [SetUp]
    public async Task SetUpAsync()
    {
        _host = await TestHost.SharedAsync();
        _tenant = await _host.SignUpAsync();
    }

    [TearDown]
    public async Task TearDownAsync() => await _host.DisposeAsync();

    [Test]
    public async Task A_delivery_that_failed_is_sent_again_with_the_same_bytes_and_id()
    {
        await using var receiver = await WebhookReceiver.StartAsync((n, _) => n == 1 ? 500 : 200);
        var webhook = await _tenant.PostAsync("/v1/webhooks", new { url = receiver.Url });
        await EndASessionAsync();

        var (first, second) = (await receiver.NextAsync(), await receiver.NextAsync());
        Assert.That(second.Id, Is.EqualTo(first.Id));
        Assert.That(second.Body, Is.EqualTo(first.Body));
        Assert.That(second.IsSignedWith(webhook.Get<string>("secret")), Is.True);

        var path = $"/v1/webhooks/{webhook.Get<string>("id")}/deliveries";
        Assert.That(async () => (await _tenant.GetAsync(path)).Body!["data"]![0]!["status"]!.GetValue<string>(), Is.EqualTo("delivered").After(20_000, 50));
        var log = (await _tenant.GetAsync(path)).Body!["data"]![0]!["log"]!.AsArray();
        Assert.That(log.Select(a => a!["status_code"]!.GetValue<int>()), Is.EqualTo(new[] { 500, 200 }));
    }

    [Test]
    public async Task A_receiver_that_hangs_holds_up_no_other()
    {
        using var hanging = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        hanging.Start();
        var slow = await _host.SignUpAsync("Slow");
        await slow.PostAsync("/v1/webhooks", new { url = $"http://{hanging.LocalEndpoint}/hook" });
        await slow.PostAsync($"/v1/sessions/{await slow.StartTextSessionAsync(await slow.CreateAssistantAsync())}/end");

        await using var receiver = await WebhookReceiver.StartAsync();
        await _tenant.PostAsync("/v1/webhooks", new { url = receiver.Url });
        using var connected = await hanging.AcceptTcpClientAsync();
        await EndASessionAsync();

        // The hanging one is given up after 15 s; this one must not wait for that.
        var waited = System.Diagnostics.Stopwatch.StartNew();
        await receiver.NextAsync();
        Assert.That(waited.Elapsed, Is.LessThan(TimeSpan.FromSeconds(10)));
    }

    [Test]
    public async Task Only_the_events_asked_for_come()
    {
        await using var wanted = await WebhookReceiver.StartAsync();
        await using var unwanted = await WebhookReceiver.StartAsync();
        await _tenant.PostAsync("/v1/webhooks", new { url = wanted.Url, event_types = new[] { "session.completed" } });
        await _tenant.PostAsync("/v1/webhooks", new { url = unwanted.Url, event_types = new[] { "call.completed" } });
        await EndASessionAsync();
        await wanted.NextAsync();
        Assert.That(unwanted.IsEmpty, Is.True);
    }

    [Test]
    public async Task The_event_log_has_every_event_once_in_a_stable_order()
    {
        for (var n = 0; n < 5; n++)
        {
            await EndASessionAsync();
        }

        Assert.That(async () => (await _tenant.GetAsync("/v1/events")).Body!["data"]!.AsArray().Count, Is.EqualTo(5).After(20_000, 50));
        var all = (await _tenant.GetAsync("/v1/events")).Body!["data"]!.AsArray().Select(e => e!["id"]!.GetValue<string>()).ToList();
        var read = new List<string>();
        var cursor = 0L;
        while (true)
        {
            var page = await _tenant.GetAsync($"/v1/events?after={cursor}&limit=2");
            var ids = page.Body!["data"]!.AsArray().Select(e => e!["id"]!.GetValue<string>()).ToList();
            read.AddRange(ids);
            cursor = page.Get<long>("next_cursor");
            if (ids.Count == 0)
            {
                break;
            }
        }

        Assert.That(read, Is.EqualTo(all));
        Assert.That(read, Is.Unique);
    }

    [TestCase("http://10.0.0.1/x")]
    [TestCase("http://169.254.169.254/latest/meta-data")]
    [TestCase("http://[fe80::1]/")]
    public async Task A_private_address_is_refused(string url)
    {
        var answer = await _tenant.PostAsync("/v1/webhooks", new { url });
        Assert.That((answer.Status, answer.Fields.Single()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, "url")));
    }

    [Test]
    public async Task A_name_that_leads_to_a_private_address_is_not_called()
    {
        await using var host = await TestHost.StartAsync(("OUTBOUND_ALLOW_PRIVATE", "10.0.0.0/8"));
        var tenant = await host.SignUpAsync();
        await using var receiver = await WebhookReceiver.StartAsync();
        var webhook = await tenant.PostAsync("/v1/webhooks", new { url = receiver.Url.Replace("127.0.0.1", "localhost", StringComparison.Ordinal) });
        Assert.That(webhook.Status, Is.EqualTo(HttpStatusCode.Created));
        var session = await tenant.StartTextSessionAsync(await tenant.CreateAssistantAsync());
        await tenant.PostAsync($"/v1/sessions/{session}/end");

        string? Error() => tenant.GetAsync($"/v1/webhooks/{webhook.Get<string>("id")}/deliveries").GetAwaiter().GetResult().Body!["data"]!.AsArray()
            .SelectMany(d => d!["log"]!.AsArray()).FirstOrDefault()?["error"]?.GetValue<string>();
        Assert.That(Error, Does.Contain("may reach").After(20_000, 100));
        Assert.That(receiver.IsEmpty, Is.True);
    }

    private async Task EndASessionAsync()
    {
        var session = await _tenant.StartTextSessionAsync(await _tenant.CreateAssistantAsync());
        Assert.That((await _tenant.PostAsync($"/v1/sessions/{session}/end")).Status, Is.EqualTo(HttpStatusCode.OK));
    }
}
