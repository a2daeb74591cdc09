using System.Diagnostics;
using Npgsql;

namespace VoicePlatform.IntegrationTests.Calls;

/// <summary>Who is dialled when: fair between tenants, within limits, once, whatever dies.</summary>
internal sealed class DiallerTests
{
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(40);

    [Test]
    [RealTime]
    public async Task One_tenants_many_calls_hold_up_anothers_first_by_less_than_a_second()
    {
        await using var bench = await PhoneBench.StartAsync(("CALLS_MAX_CONCURRENT_PER_TENANT", "5"), ("BILLING_SIGNUP_CREDITS", "100000"));
        bench.LiveKit.OnDial = (_, room) => Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, room);
        await ManyAsync(bench, await bench.CallAsync(new { schedule_at = TimeProvider.System.GetUtcNow().AddDays(1) }), 10_000);
        Assert.That(() => bench.LiveKit.Dialed.Count, Is.GreaterThan(4).After(10_000, 20));

        var other = await bench.Host.SignUpAsync("Other");
        var trunk = await PhoneBench.TrunkAsync(other);
        var assistant = await other.CreateAssistantAsync();
        var watch = Stopwatch.StartNew();
        await bench.CallAsync(new { to_number = "+15550999" }, other, assistant, trunk);
        Assert.That(() => bench.LiveKit.Dialed.Any(d => d.SipCallTo == "+15550999"), Is.True.After(20_000, 10));
        Assert.That(watch.Elapsed, Is.LessThan(TimeSpan.FromSeconds(1)));
    }

    [Test]
    public async Task A_tenant_has_no_more_calls_up_than_it_may()
    {
        await using var bench = await PhoneBench.StartAsync(("CALLS_MAX_CONCURRENT_PER_TENANT", "3"));
        bench.LiveKit.OnDial = (_, room) => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, room);
        for (var n = 0; n < 6; n++)
        {
            await bench.CallAsync();
        }

        Assert.That(() => bench.LiveKit.Dialed.Count, Is.EqualTo(3).After(20_000, 20));
        await Task.Delay(TimeSpan.FromSeconds(1.5), TimeProvider.System);
        Assert.That(bench.LiveKit.Dialed, Has.Count.EqualTo(3));

        // One ends, the next begins.
        var up = (await bench.Tenant.GetAsync("/v1/calls?status=dialing")).Body!["data"]![0]!["id"]!.GetValue<string>();
        await bench.Tenant.PostAsync($"/v1/calls/{up}/end");
        Assert.That(() => bench.LiveKit.Dialed.Count, Is.EqualTo(4).After(20_000, 20));
    }

    [Test]
    [RealTime]
    public async Task A_trunk_begins_calls_no_faster_than_it_may()
    {
        await using var bench = await PhoneBench.StartAsync();
        var trunk = await PhoneBench.TrunkAsync(bench.Tenant, callsPerSecond: 4);
        for (var n = 0; n < 6; n++)
        {
            await bench.CallAsync(trunk: trunk);
        }

        Assert.That(() => bench.LiveKit.Dialed.Count, Is.EqualTo(6).After(10_000, 20));
        await using var source = NpgsqlDataSource.Create(bench.Host.Database.Owner);
        await using var query = source.CreateCommand("SELECT started_at FROM call.attempts ORDER BY started_at");
        var started = new List<DateTimeOffset>();
        await using var row = await query.ExecuteReaderAsync();
        while (await row.ReadAsync())
        {
            started.Add(row.GetFieldValue<DateTimeOffset>(0));
        }

        Assert.That(started.Zip(started.Skip(1), (a, b) => (b - a).TotalMilliseconds), Is.All.GreaterThanOrEqualTo(249));
        Assert.That((started[^1] - started[0]).TotalMilliseconds, Is.LessThan(4000), "and not much slower");
    }

    [Test]
    public async Task Two_diallers_at_once_never_take_up_one_call_twice()
    {
        await using var bench = await PhoneBench.StartAsync(("CALLS_MAX_CONCURRENT_PER_TENANT", "1"), ("BILLING_SIGNUP_CREDITS", "100000"));
        bench.LiveKit.OnDial = (_, room) => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, room);
        await ManyAsync(bench, await bench.CallAsync(new { schedule_at = TimeProvider.System.GetUtcNow().AddDays(1) }), 2_000);

        await using var source = NpgsqlDataSource.Create(bench.Host.Database.App);
        var claimed = await Task.WhenAll(Enumerable.Range(0, 4).Select(async _ =>
        {
            var mine = new List<string>();
            for (var n = 0; n < 2_000 && await bench.CountAsync("SELECT count(*) FROM call.queue WHERE is_due") > 0; n++)
            {
                mine.AddRange(await ClaimAsync(source, 50, 100_000));
            }

            return mine;
        }));

        Assert.That(claimed.SelectMany(c => c).ToList(), Is.Unique.And.Count.GreaterThan(1_900));
        Assert.That(await bench.CountAsync("SELECT count(*) FROM (SELECT call_id FROM call.attempts GROUP BY call_id HAVING count(*) > 1) x"), Is.Zero);
    }

    [Test]
    public async Task A_host_that_dies_between_claim_and_invite_leaves_a_call_that_fails_and_is_never_dialled()
    {
        // The host's own dialler has its hands full; another one takes the call up and is not heard of again.
        await using var bench = await PhoneBench.StartAsync(("CALLS_DIALING_AT_ONCE", "1"));
        bench.LiveKit.OnDial = (_, room) => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, room);
        var first = await bench.CallAsync();
        Assert.That(() => bench.LiveKit.Dialed.Count, Is.EqualTo(1).After(20_000, 20));
        var id = await bench.CallAsync(new { to_number = "+15550178", retry = new { max_attempts = 5, delay_s = 1 } });
        await using var source = NpgsqlDataSource.Create(bench.Host.Database.App);
        Assert.That(await ClaimAsync(source, 10, 10, TimeSpan.FromSeconds(-31)), Is.EqualTo(new[] { id }));

        var call = await bench.UntilAsync(id, "failed");
        Assert.That((call["cause"]!.GetValue<string>(), call["fault"]!.GetValue<string>()), Is.EqualTo(("unknown_outcome", "platform")));
        await bench.Tenant.PostAsync($"/v1/calls/{first}/end");
        await bench.UntilAsync(first, "canceled");
        await Task.Delay(TimeSpan.FromSeconds(1.5), TimeProvider.System);
        Assert.That(bench.LiveKit.Dialed.Select(d => d.SipCallTo), Does.Not.Contain("+15550178"));
        Assert.That((await bench.Tenant.BalanceAsync()).Held, Is.Zero);
        Assert.That(async () => await bench.EventsAsync(id, "call.completed"), Has.Count.EqualTo(1).After(20_000, 50));
    }

    [Test]
    public async Task What_nobody_got_to_in_time_expires_with_its_hold()
    {
        await using var bench = await PhoneBench.StartAsync();
        bench.LiveKit.AgentsCome = false;
        bench.LiveKit.IsDown = true;
        var id = await bench.CallAsync(new { queue_ttl_s = 5 });
        var call = await bench.UntilAsync(id, "failed");
        Assert.That(call["cause"]!.GetValue<string>(), Is.EqualTo("expired"));
        Assert.That((await bench.Tenant.BalanceAsync()).Held, Is.Zero);
        Assert.That(bench.LiveKit.Dialed, Is.Empty);
        Assert.That(async () => await bench.EventsAsync(id, "call.completed"), Has.Count.EqualTo(1).After(20_000, 50));
    }

    [Test]
    public async Task A_media_server_that_is_away_delays_a_call_and_loses_none()
    {
        await using var bench = await PhoneBench.StartAsync();
        bench.LiveKit.IsDown = true;
        var id = await bench.CallAsync();
        await Task.Delay(TimeSpan.FromSeconds(1.5), TimeProvider.System);
        bench.LiveKit.IsDown = false;
        await bench.UntilAsync(id, "in_progress");
        Assert.That(bench.LiveKit.Dialed, Has.Count.EqualTo(1));
        Assert.That((await bench.GetAsync(id))["attempts"]!.GetValue<int>(), Is.EqualTo(1), "only what was dialled counts");
    }

    [Test]
    public async Task A_call_that_outlives_its_time_is_ended()
    {
        await using var bench = await PhoneBench.StartAsync();
        var id = await bench.CallAsync();
        await bench.UntilAsync(id, "in_progress");
        await bench.ExecuteAsync("UPDATE call.calls SET deadline_at = now() - interval '1 s'");
        Assert.That((await bench.UntilAsync(id, "completed"))["ended_reason"]!.GetValue<string>(), Is.EqualTo("max_duration"));
    }

    [Test]
    public async Task Credits_for_one_are_not_credits_for_ten()
    {
        await using var bench = await PhoneBench.StartAsync(("BILLING_SIGNUP_CREDITS", "4"));
        bench.LiveKit.AgentsCome = false;
        var answers = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => bench.Tenant.PostAsync("/v1/calls", bench.Body().ToJsonString())));
        var accepted = answers.Count(a => a.Status == System.Net.HttpStatusCode.Accepted);
        Assert.That(accepted, Is.InRange(1, 9));
        Assert.That(answers.Where(a => a.Status != System.Net.HttpStatusCode.Accepted).Select(a => a.Code), Is.All.EqualTo("billing.insufficient_credits"));
        Assert.That(await bench.CountAsync("SELECT count(*) FROM call.calls"), Is.EqualTo(accepted));
        Assert.That((await bench.Tenant.BalanceAsync()).Available, Is.GreaterThanOrEqualTo(0));
    }

    /// <summary>Copies of a queued call, due now; without holds, which the dialler does not look at.</summary>
    private static async Task ManyAsync(PhoneBench bench, string callId, int count)
    {
        await bench.ExecuteAsync($"""
            CREATE TEMP TABLE copies AS SELECT c.*, n FROM call.calls c, generate_series(1, {count}) n WHERE c.id = '{callId}';
            UPDATE copies SET id = 'cal' || lpad(n::text, 26, '0'), schedule_at = NULL, expires_at = now() + interval '1 h';
            ALTER TABLE copies DROP COLUMN n;
            INSERT INTO call.calls SELECT * FROM copies;
            INSERT INTO call.queue (call_id, trunk_id, priority, due_at, is_due) SELECT id, trunk_id, 0, now(), true FROM copies;
            ANALYZE call.calls; ANALYZE call.queue;
            """);
    }

    private static async Task<List<string>> ClaimAsync(NpgsqlDataSource source, int limit, int tenantLimit, TimeSpan? lease = null)
    {
        await using var claim = source.CreateCommand("SELECT call_id FROM call.claim($1, $2, $3, $4)");
        claim.Parameters.Add(new() { Value = TimeProvider.System.GetUtcNow() });
        claim.Parameters.Add(new() { Value = limit });
        claim.Parameters.Add(new() { Value = tenantLimit });
        claim.Parameters.Add(new() { Value = lease ?? Lease });
        var claimed = new List<string>();
        await using var row = await claim.ExecuteReaderAsync();
        while (await row.ReadAsync())
        {
            claimed.Add(row.GetString(0));
        }

        return claimed;
    }
}
