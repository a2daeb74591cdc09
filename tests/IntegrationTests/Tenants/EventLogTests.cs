using System.Net;
using VoicePlatform.IntegrationTests.Support;
using VoicePlatform.SharedKernel;

namespace VoicePlatform.IntegrationTests.Tenants;

internal sealed class EventLogTests
{
    private TestHost _host = null!;
    private TestTenant _tenant = null!;

    [SetUp]
    public async Task SetUpAsync()
    {
        _host = await TestHost.StartAsync();
        _tenant = await _host.SignUpAsync();
    }

    [TearDown]
    public async Task TearDownAsync() => await _host.DisposeAsync();

    [Test]
    public async Task A_reader_who_goes_on_misses_nothing_while_commits_overtake_each_other()
    {
        const int writers = 12, each = 15;
        var writing = Task.WhenAll(Enumerable.Range(0, writers).Select(async w =>
        {
            for (var n = 0; n < each; n++)
            {
                // Ids are given before, commits come after between 0 and 44 ms: late ones have small ids.
                await _tenant.AnnounceAsync($"w{w}", commitAfter: TimeSpan.FromMilliseconds(w * n % 5 * 11));
            }
        }));
        var read = new List<(long Position, string Subject, int Sequence)>();
        var cursor = 0L;
        while (read.Count < writers * each)
        {
            var page = await _tenant.GetAsync($"/v1/events?after={cursor}&limit=7");
            read.AddRange(page.Body!["data"]!.AsArray().Select(e => (e!["position"]!.GetValue<long>(), e["subject_id"]!.GetValue<string>(), e["sequence"]!.GetValue<int>())));
            Assert.That(writing.IsCompleted && page.Body["data"]!.AsArray().Count == 0 && read.Count < writers * each
                && await _host.SqlAsync("SELECT count(*) FROM tenant.events WHERE position IS NULL") is 0L
                && (await _tenant.GetAsync($"/v1/events?after={cursor}")).Body!["data"]!.AsArray().Count == 0, Is.False, $"Missed {(writers * each) - read.Count} events.");
            cursor = page.Get<long>("next_cursor");
        }

        await writing;
        Assert.That(read.Select(e => e.Position), Is.Ordered.And.Unique);
        foreach (var subject in read.GroupBy(e => e.Subject))
        {
            Assert.That(subject.Select(e => e.Sequence), Is.EqualTo(Enumerable.Range(1, each)), subject.Key);
        }
    }

    [Test]
    public async Task Events_are_found_by_type_kind_and_subject()
    {
        await _tenant.AnnounceAsync("a", "call.queued");
        await _tenant.AnnounceAsync("a", "call.completed");
        await _tenant.AnnounceAsync("b", "session.completed");
        Assert.That(async () => await CountAsync(""), Is.EqualTo(3).After(20_000, 20));
        Assert.That(await CountAsync("?type=call.queued"), Is.EqualTo(1));
        Assert.That(await CountAsync("?type=call.*"), Is.EqualTo(2));
        Assert.That(await CountAsync("?subject_id=b"), Is.EqualTo(1));
        Assert.That(await CountAsync("?subject_id=a&type=session.completed"), Is.Zero);
        Assert.That((await _tenant.GetAsync("/v1/events?limit=0")).Fields, Is.EqualTo(new[] { "limit" }));
        Assert.That((await _tenant.GetAsync("/v1/events/evt00000000000000000000000000")).Status, Is.EqualTo(HttpStatusCode.NotFound));
    }

    [Test]
    public async Task What_is_old_goes_and_what_is_not_stays()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        var webhook = (await _tenant.PostAsync("/v1/webhooks", new { url = receiver.Url })).Get<string>("id");
        await _tenant.AnnounceAsync("old");
        await _tenant.AnnounceAsync("new");
        await _tenant.SettledAsync(webhook, 2);
        var old = Aged(Ids.Delivery, 31);
        await _host.SqlAsync("ALTER TABLE tenant.delivery_attempts DROP CONSTRAINT delivery_attempts_delivery_id_fkey");
        await _host.SqlAsync("UPDATE tenant.delivery_attempts SET delivery_id = $1 WHERE delivery_id = (SELECT id FROM tenant.deliveries WHERE subject_id = 'old')", old);
        await _host.SqlAsync("UPDATE tenant.deliveries SET id = $1 WHERE subject_id = 'old'", old);
        await _host.SqlAsync("INSERT INTO tenant.events (id, tenant_id, type, subject_id, sequence, data, created_at) VALUES ($2, $1, 'call.queued', 'older', 1, '{}', now())", _tenant.TenantId, Aged(Ids.Event, 91));
        await _host.RunJobAsync("tenant.clear-out-events");

        Assert.That(await _host.SqlAsync("SELECT string_agg(subject_id, ',') FROM tenant.deliveries"), Is.EqualTo("new"));
        Assert.That(await _host.SqlAsync("SELECT count(*) FROM tenant.delivery_attempts"), Is.EqualTo(1L));
        Assert.That(await _host.SqlAsync("SELECT string_agg(subject_id, ',' ORDER BY subject_id) FROM tenant.events"), Is.EqualTo("new,old"));
    }

    [Test]
    public async Task A_key_that_expires_soon_is_told_of_once()
    {
        var soon = await _tenant.PostAsync("/v1/keys", new { name = "soon", scopes = new[] { "read" }, expires_at = TimeProvider.System.GetUtcNow().AddDays(6) });
        await _tenant.PostAsync("/v1/keys", new { name = "later", scopes = new[] { "read" }, expires_at = TimeProvider.System.GetUtcNow().AddDays(8) });
        await _host.RunJobAsync("tenant.tell-of-expiring-keys");
        await _host.RunJobAsync("tenant.tell-of-expiring-keys");
        Assert.That(async () => await CountAsync("?type=key.expiring"), Is.EqualTo(1).After(20_000, 20));
        Assert.That(await CountAsync($"?subject_id={soon.Get<string>("id")}"), Is.EqualTo(1));
    }

    [Test]
    public async Task Every_job_is_scheduled_runs_and_stays_as_it_is_over_a_restart()
    {
        Assert.That(async () => await _host.SqlAsync("SELECT count(*) FROM quartz.simple_triggers WHERE times_triggered > 0"), Is.GreaterThanOrEqualTo(4L).After(20_000, 100));
        var before = await _host.SqlAsync("SELECT string_agg(trigger_name || start_time, ',' ORDER BY trigger_name) FROM quartz.triggers");
        await using var second = await TestHost.StartAsync(("DATABASE_URL", _host.Database.App));
        Assert.That(await _host.SqlAsync("SELECT string_agg(trigger_name || start_time, ',' ORDER BY trigger_name) FROM quartz.triggers"), Is.EqualTo(before));
        Assert.That(before, Does.Contain("tenant.check-webhooks").And.Contain("platform.clear-out"));
    }

    private static string Aged(string prefix, int days) => Ids.New(prefix, TimeProvider.System.GetUtcNow().AddDays(-days));

    private async Task<int> CountAsync(string query) => (await _tenant.GetAsync($"/v1/events{query}")).Body!["data"]!.AsArray().Count;
}
