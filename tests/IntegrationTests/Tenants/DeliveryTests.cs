using System.Net;
using Microsoft.AspNetCore.Http;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Tenants;

/// <summary>How deliveries come, and what becomes of them when a receiver or a host does badly.</summary>
internal sealed class DeliveryTests
{
    private const string SecretsKey = "the key of both hosts, with more than 32 characters";

    private TestHost _host = null!;
    private TestTenant _tenant = null!;

    [SetUp]
    public async Task SetUpAsync()
    {
        _host = await TestHost.StartAsync(("SECRETS_KEY", SecretsKey));
        _tenant = await _host.SignUpAsync();
    }

    [TearDown]
    public async Task TearDownAsync() => await _host.DisposeAsync();

    [Test]
    public async Task Events_of_a_subject_come_in_order_also_over_failures()
    {
        await using var receiver = await WebhookReceiver.StartAsync((n, _) => n == 1 ? 500 : 200);
        await WebhookAsync(receiver.Url);
        await _tenant.AnnounceAsync("call-a", "call.queued");
        var first = await receiver.NextAsync();
        await _tenant.AnnounceAsync("call-a", "call.answered");
        await _tenant.AnnounceAsync("call-a", "call.completed");
        await _tenant.AnnounceAsync("call-b", "call.queued");

        // Another subject is not held up; the failed one comes first again, then what waited behind it.
        var came = new List<Received> { first, await receiver.NextAsync(), await receiver.NextAsync(), await receiver.NextAsync(), await receiver.NextAsync() };
        Assert.That(came.Select(r => (r.Json["subject_id"]!.GetValue<string>(), r.Json["sequence"]!.GetValue<int>())), Is.EqualTo(new[]
        {
            ("call-a", 1), ("call-b", 1), ("call-a", 1), ("call-a", 2), ("call-a", 3),
        }));
    }

    [Test]
    public async Task An_event_that_is_given_up_lets_the_next_of_its_subject_go()
    {
        await using var receiver = await WebhookReceiver.StartAsync((_, r) => r.Json["sequence"]!.GetValue<int>() == 1 ? 500 : 200);
        var webhook = await WebhookAsync(receiver.Url);
        await _tenant.AnnounceAsync("call-a", "call.queued");
        await receiver.NextAsync();
        await _tenant.AnnounceAsync("call-a", "call.answered");
        Assert.That(async () => await _host.SqlAsync("SELECT count(*) FROM tenant.delivery_queue WHERE lease IS NULL AND tries = 1"), Is.EqualTo(1L).After(20_000, 20));
        await _host.SqlAsync("UPDATE tenant.delivery_queue SET tries = 10, due_at = now() WHERE sequence = 1");

        var deliveries = await _tenant.SettledAsync(webhook, 2);
        Assert.That(deliveries.Select(d => d["status"]!.GetValue<string>()), Is.EqualTo(new[] { "delivered", "failed" }));
    }

    [Test]
    public async Task A_receiver_that_hangs_has_few_places_and_holds_up_nobody_else()
    {
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var (open, most) = (0, 0);
        await using var hanging = await WebhookReceiver.StartAsync(async (_, _, http) =>
        {
            var now = Interlocked.Increment(ref open);
            InterlockedMax(ref most, now);
            try
            {
                await release.Task.WaitAsync(http.RequestAborted);
            }
            finally
            {
                Interlocked.Decrement(ref open);        // Also where the sender has given up.
            }

            return Results.Ok();
        });
        var slow = await _host.SignUpAsync("Slow");
        await slow.PostAsync("/v1/webhooks", new { url = hanging.Url });
        for (var n = 0; n < 40; n++)
        {
            await slow.AnnounceAsync($"slow-{n}");
        }

        await hanging.NextAsync();
        await using var receiver = await WebhookReceiver.StartAsync();
        var webhook = await WebhookAsync(receiver.Url);
        for (var n = 0; n < 100; n++)
        {
            await _tenant.AnnounceAsync($"call-{n}");
        }

        await _tenant.SettledAsync(webhook, 100);
        Assert.That(release.Task.IsCompleted, Is.False);
        Assert.That(most, Is.InRange(1, 16));
        release.SetResult();
    }

    [Test]
    public async Task Two_hosts_on_one_database_deliver_each_event_once()
    {
        await using var other = await TestHost.StartAsync(("DATABASE_URL", _host.Database.App), ("SECRETS_KEY", SecretsKey));
        await using var receiver = await WebhookReceiver.StartAsync();
        var webhook = await WebhookAsync(receiver.Url);
        var onOther = _tenant with { Host = other };
        await Task.WhenAll(Enumerable.Range(0, 100).Select(n => (n % 2 == 0 ? _tenant : onOther).AnnounceAsync($"call-{n % 20}")));

        await _tenant.SettledAsync(webhook, 100);
        var ids = new List<string>();
        for (var n = 0; n < 100; n++)
        {
            ids.Add((await receiver.NextAsync()).Id);
        }

        Assert.That(ids, Is.Unique);
        Assert.That(receiver.IsEmpty, Is.True);
    }

    [Test]
    public async Task What_a_host_sent_and_could_not_note_is_sent_again_with_the_same_id_and_bytes()
    {
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var receiver = await WebhookReceiver.StartAsync(async (n, _, http) =>
        {
            if (n == 1)
            {
                await release.Task.WaitAsync(http.RequestAborted);
            }

            return Results.Ok();
        });
        await using var mortal = await TestHost.StartAsync(("DATABASE_URL", _host.Database.App), ("SECRETS_KEY", SecretsKey));
        await WebhookAsync(receiver.Url);

        // Whichever host takes it goes down with it: the answer never comes while one lives.
        await (_tenant with { Host = mortal }).AnnounceAsync("call-a");
        var first = await receiver.NextAsync();
        await _host.SqlAsync("UPDATE tenant.delivery_queue SET due_at = now(), lease = NULL");
        var second = await receiver.NextAsync();
        Assert.That((second.Id, second.Body), Is.EqualTo((first.Id, first.Body)));
        release.SetResult();
    }

    [Test]
    public async Task Who_lost_the_lease_decides_nothing()
    {
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var receiver = await WebhookReceiver.StartAsync(async (_, _, _) =>
        {
            await release.Task;
            return Results.Ok();
        });
        var webhook = await WebhookAsync(receiver.Url);
        await _tenant.AnnounceAsync("call-a");
        await receiver.NextAsync();
        await _host.SqlAsync("UPDATE tenant.delivery_queue SET lease = gen_random_uuid(), due_at = now() + interval '1 minute'");
        release.SetResult();

        // The attempt is there to be seen, and the delivery is the other holder's.
        Assert.That(async () => (await FirstAsync(webhook))["attempts"]!.GetValue<int>(), Is.EqualTo(1).After(20_000, 20));
        Assert.That((await FirstAsync(webhook))["status"]!.GetValue<string>(), Is.EqualTo("pending"));
        Assert.That(await _host.SqlAsync("SELECT count(*) FROM tenant.delivery_queue"), Is.EqualTo(1L));
    }

    [TestCase("7200", 7200)]
    [TestCase("999999", 86400)]
    [TestCase("date", 10800)]
    public async Task Retry_after_is_respected_up_to_a_day(string header, int seconds)
    {
        await using var receiver = await WebhookReceiver.StartAsync((_, _, http) =>
        {
            http.Response.Headers.RetryAfter = header == "date" ? TimeProvider.System.GetUtcNow().AddHours(3).ToString("R", null) : header;
            return Task.FromResult(Results.StatusCode(503));
        });
        var webhook = await WebhookAsync(receiver.Url);
        await _tenant.AnnounceAsync("call-a");
        await receiver.NextAsync();
        Assert.That(async () => (await FirstAsync(webhook))["attempts"]!.GetValue<int>(), Is.EqualTo(1).After(20_000, 20));
        var wait = (await FirstAsync(webhook))["next_attempt_at"]!.GetValue<DateTimeOffset>() - TimeProvider.System.GetUtcNow();
        Assert.That(wait.TotalSeconds, Is.InRange(seconds - 30, seconds + 30));
    }

    [Test]
    public async Task A_redirect_is_not_followed_and_says_so()
    {
        await using var secret = await WebhookReceiver.StartAsync();
        await using var receiver = await WebhookReceiver.StartAsync((_, _, http) =>
        {
            http.Response.Headers.Location = secret.Url;
            return Task.FromResult(Results.StatusCode(302));
        });
        var webhook = await WebhookAsync(receiver.Url);
        await _tenant.AnnounceAsync("call-a");
        await receiver.NextAsync();
        Assert.That(async () => (await FirstAsync(webhook))["log"]!.AsArray().Count, Is.EqualTo(1).After(20_000, 20));
        Assert.That((await FirstAsync(webhook))["log"]![0]!["error"]!.GetValue<string>(), Does.Contain("redirects are not followed"));
        Assert.That(secret.IsEmpty, Is.True);
    }

    [Test]
    public async Task The_beginning_of_an_answer_is_kept_whatever_it_is()
    {
        await using var receiver = await WebhookReceiver.StartAsync((_, _, _) => Task.FromResult(Results.Text("no\0t \ud83d\ude00" + new string('x', 100_000), statusCode: 400)));
        var webhook = await WebhookAsync(receiver.Url);
        await _tenant.AnnounceAsync("call-a");
        Assert.That(async () => (await FirstAsync(webhook))["log"]!.AsArray().Count, Is.EqualTo(1).After(20_000, 20));
        var answer = (await FirstAsync(webhook))["log"]![0]!["answer"]!.GetValue<string>();
        Assert.That(answer, Does.StartWith("no t \ud83d\ude00xxx"));
        Assert.That(answer, Has.Length.EqualTo(500));
    }

    [Test]
    public async Task Gone_disables_the_webhook_and_tells_the_others()
    {
        await using var gone = await WebhookReceiver.StartAsync((_, _) => 410);
        await using var other = await WebhookReceiver.StartAsync();
        var webhook = await WebhookAsync(gone.Url);
        await WebhookAsync(other.Url, "webhook.*");
        await _tenant.AnnounceAsync("call-a");

        var told = await other.NextAsync();
        Assert.That(told.Json["type"]!.GetValue<string>(), Is.EqualTo("webhook.disabled"));
        Assert.That(told.Json["data"]!["reason"]!.GetValue<string>(), Is.EqualTo("gone"));
        var shown = await _tenant.GetAsync($"/v1/webhooks/{webhook}");
        Assert.That((shown.Get<string>("status"), shown.Get<string>("disabled_reason")), Is.EqualTo(("disabled", "gone")));
        Assert.That((await FirstAsync(webhook))["status"]!.GetValue<string>(), Is.EqualTo("failed"));

        await _tenant.AnnounceAsync("call-b");
        Assert.That((await _tenant.GetAsync($"/v1/webhooks/{webhook}/deliveries")).Body!["data"]!.AsArray(), Has.Count.EqualTo(1));
    }

    [Test]
    public async Task Failing_for_a_day_is_told_once_recovery_too_and_five_days_disable()
    {
        var status = 500;
        await using var receiver = await WebhookReceiver.StartAsync((_, _) => Volatile.Read(ref status));
        await using var other = await WebhookReceiver.StartAsync();
        var webhook = await WebhookAsync(receiver.Url, "call.*");
        await WebhookAsync(other.Url, "webhook.*");
        await _tenant.AnnounceAsync("call-a");
        Assert.That(async () => (await _tenant.GetAsync($"/v1/webhooks/{webhook}")).Body!["failing_since"], Is.Not.Null.After(20_000, 20));

        await _host.SqlAsync("UPDATE tenant.webhooks SET failing_since = now() - interval '25 hours' WHERE id = $1", webhook);
        await _host.RunJobAsync("tenant.check-webhooks");
        await _host.RunJobAsync("tenant.check-webhooks");
        Assert.That((await other.NextAsync()).Json["type"]!.GetValue<string>(), Is.EqualTo("webhook.failing"));

        Volatile.Write(ref status, 200);
        await _tenant.AnnounceAsync("call-b");
        Assert.That(async () => (await _tenant.GetAsync($"/v1/webhooks/{webhook}")).Body!["failing_since"], Is.Null.After(20_000, 20));
        await _host.RunJobAsync("tenant.check-webhooks");
        Assert.That((await other.NextAsync()).Json["type"]!.GetValue<string>(), Is.EqualTo("webhook.recovered"));
        await _tenant.SettledAsync(webhook, 2);     // The first one, which is tried again, is another success.

        await _host.SqlAsync("UPDATE tenant.webhooks SET failing_since = now() - interval '121 hours' WHERE id = $1", webhook);
        await _host.RunJobAsync("tenant.check-webhooks");
        var disabled = await other.NextAsync();
        Assert.That((disabled.Json["type"]!.GetValue<string>(), disabled.Json["data"]!["reason"]!.GetValue<string>()), Is.EqualTo(("webhook.disabled", "failing")));

        var enabled = await _tenant.PatchAsync($"/v1/webhooks/{webhook}", new { enabled = true });
        Assert.That((enabled.Get<string>("status"), enabled.Body!["failing_since"]), Is.EqualTo(("enabled", (System.Text.Json.Nodes.JsonNode?)null)));
    }

    private static void InterlockedMax(ref int most, int value)
    {
        int seen;
        while ((seen = Volatile.Read(ref most)) < value && Interlocked.CompareExchange(ref most, value, seen) != seen)
        {
        }
    }

    [Test]
    public async Task Two_results_of_one_delivery_in_one_batch_fail_nobody_and_change_nothing_that_was_decided()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        var webhook = await WebhookAsync(receiver.Url);
        await _tenant.AnnounceAsync("call-a");
        var delivery = (await _tenant.SettledAsync(webhook, 1))[0]["id"]!.GetValue<string>();

        // A sender that lost its lease, and its successor that lost it too.
        await _host.SqlAsync(
            """
            SELECT count(*) FROM tenant.note_deliveries(now(), ARRAY[$1, $1], ARRAY[gen_random_uuid(), gen_random_uuid()], ARRAY[now(), now()], ARRAY[5, 6],
              ARRAY[500, 500], ARRAY['late', 'later'], ARRAY['', ''], ARRAY['failed', 'failed'], ARRAY[NULL, NULL]::timestamptz[])
            """, delivery);

        var kept = (await _tenant.GetAsync($"/v1/deliveries/{delivery}")).Body!;
        Assert.That((kept["status"]!.GetValue<string>(), kept["attempts"]!.GetValue<int>()), Is.EqualTo(("delivered", 2)), kept.ToJsonString());
    }

    private async Task<string> WebhookAsync(string url, params string[] types)
    {
        var answer = await _tenant.PostAsync("/v1/webhooks", new { url, event_types = types });
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.Created), answer.Body?.ToJsonString());
        return answer.Get<string>("id");
    }

    private async Task<System.Text.Json.Nodes.JsonNode> FirstAsync(string webhook) => (await _tenant.GetAsync($"/v1/webhooks/{webhook}/deliveries")).Body!["data"]![0]!;
}
