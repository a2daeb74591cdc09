using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using VoicePlatform.IntegrationTests.Contract;
using VoicePlatform.IntegrationTests.Support;
using VoicePlatform.SharedKernel;

namespace VoicePlatform.IntegrationTests.Billing;

/// <summary>The ledger against the conversations, and against itself.</summary>
internal sealed class ReconciliationTests
{
    private Books _books = null!;

    [SetUp]
    public async Task SetUpAsync()
    {
        _books = await Books.OpenAsync();
        await _books.TopUpAsync(100_000_000);
    }

    [TearDown]
    public async Task TearDownAsync() => await _books.DisposeAsync();

    [Test]
    public async Task Everything_agrees_while_conversations_come_and_go()
    {
        await _books.ChatAsync(messages: 2);
        await _books.ChatAsync(messages: 0);
        await _books.Tenant.StartTextSessionAsync(await _books.Tenant.CreateAssistantAsync());
        var test = (await _books.Tenant.PostAsync("/v1/keys", new { name = "t", scopes = new[] { "admin", "operate", "read" }, mode = "test" })).Get<string>("key");
        await _books.Tenant.WithKey(test).StartTextSessionAsync(await _books.Tenant.CreateAssistantAsync());

        using var stop = new CancellationTokenSource();
        var chatting = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                await _books.ChatAsync(messages: 1);
            }
        });
        for (var i = 0; i < 20; i++)
        {
            var report = await _books.AsOperatorAsync(HttpMethod.Get, "/v1/billing/reconciliation");
            Assert.That(report.Get<bool>("ok"), Is.True, report.Body?.ToJsonString());
            Assert.That(report.Get<long>("holds"), Is.GreaterThanOrEqualTo(3));
        }

        await stop.CancelAsync();
        await chatting;
        await _books.AssertSoundAsync();
    }

    [Test]
    public async Task Every_difference_is_told_however_many_there_are()
    {
        const int Lost = 1_050;
        await _books.Host.SqlAsync(
            """
            SELECT count(billing.place_hold('hldlost' || i, 'txnlost' || i, $1, 'seslost' || i, 1, 'default-2', ARRAY['enta' || i, 'entb' || i])) FROM generate_series(1, $2) i
            """, _books.Tenant.TenantId, Lost);
        Assert.That(await RunJobAsync(), Is.EqualTo(Lost));
        await RunJobAsync();
        Assert.That(await _books.Host.SqlAsync("SELECT count(*) FROM tenant.events WHERE tenant_id = $1 AND type = 'billing.difference'", _books.Tenant.TenantId), Is.EqualTo((long)Lost), "Each once.");
        var report = await _books.AsOperatorAsync(HttpMethod.Get, "/v1/billing/reconciliation");
        Assert.That((report.Get<long>("difference_count"), report.Body!["differences"]!.AsArray().Count), Is.EqualTo(((long)Lost, 1_000)));
    }

    [TestCase("UPDATE session.sessions SET cost = cost + 1 WHERE id = '{ended}'", "cost_differs", true)]
    [TestCase("UPDATE session.sessions SET status = 'ended', ended_at = now(), cost = 0 WHERE id = '{open}'", "hold_open", false)]
    [TestCase("UPDATE session.sessions SET status = 'active', ended_at = NULL WHERE id = '{ended}'", "ended_early", true)]
    [TestCase("UPDATE session.sessions SET is_test = true WHERE id = '{ended}'", "no_conversation", true)]
    [TestCase("DELETE FROM billing.holds WHERE subject_id = '{ended}'", "no_charge", true)]
    public async Task What_does_not_agree_is_listed(string sql, string what, bool isAboutEnded)
    {
        var ended = await _books.ChatAsync(messages: 1);
        var open = await _books.Tenant.StartTextSessionAsync(await _books.Tenant.CreateAssistantAsync());
        await _books.AsSuperuserAsync(sql.Replace("{ended}", ended, StringComparison.Ordinal).Replace("{open}", open, StringComparison.Ordinal));

        var report = await _books.AsOperatorAsync(HttpMethod.Get, "/v1/billing/reconciliation");
        var difference = report.Body!["differences"]!.AsArray().Single()!;
        Assert.That((report.Get<bool>("ok"), difference["what"]!.GetValue<string>(), difference["subject_id"]!.GetValue<string>()), Is.EqualTo((false, what, isAboutEnded ? ended : open)));

        Assert.That(await RunJobAsync(), Is.EqualTo(1), "The nightly run counts it.");
        Assert.That(await RunJobAsync(), Is.EqualTo(1), "And the next one.");
        Assert.That(
            async () => (await _books.Tenant.GetAsync("/v1/events?type=billing.difference&limit=100")).Body!["data"]!.AsArray()
                .Select(e => (e!["data"]!["what"]!.GetValue<string>(), e["data"]!["subject_id"]!.GetValue<string>())),
            Is.EqualTo(new[] { (what, isAboutEnded ? ended : open) }).After(20_000, 50), "Told once.");
    }

    [Test]
    public async Task Calls_are_held_against_the_ledger_too()
    {
        var call = (await Resources.MakeAsync(_books.Tenant)).Ids[Resources.Call];
        await AssertAgreesAsync();
        Assert.That((int)(await _books.Tenant.PostAsync($"/v1/calls/{call}/end")).Status, Is.InRange(200, 204));
        await AssertAgreesAsync();

        await _books.AsSuperuserAsync($"UPDATE call.calls SET cost = 7 WHERE id = '{call}'");
        var difference = (await _books.AsOperatorAsync(HttpMethod.Get, "/v1/billing/reconciliation")).Body!["differences"]!.AsArray().Single()!;
        Assert.That((difference["what"]!.GetValue<string>(), difference["charged"]!.GetValue<long>(), difference["cost"]!.GetValue<long>()), Is.EqualTo(("cost_differs", 0L, 7L)));

        async Task AssertAgreesAsync()
        {
            var report = await _books.AsOperatorAsync(HttpMethod.Get, "/v1/billing/reconciliation");
            Assert.That((report.Get<bool>("ok"), report.Get<long>("conversations")), Is.EqualTo((true, 2L)), report.Body?.ToJsonString());
        }
    }

    // Sixteen days old by its id; the hold ended now, or never.
    [TestCase("UPDATE session.sessions SET cost = cost + 1 WHERE id = '{ended}'", "cost_differs", "{ended}")]
    [TestCase("DELETE FROM session.sessions WHERE id = '{ended}'", "no_conversation", "{ended}")]
    [TestCase("UPDATE session.sessions SET status = 'ended', ended_at = now(), cost = 0 WHERE id = '{open}'", "hold_open", "{open}")]
    public async Task What_began_long_before_is_looked_at_when_it_ends_or_when_it_holds(string sql, string what, string about)
    {
        var ids = new Dictionary<string, string> { ["{ended}"] = await _books.ChatAsync(messages: 1), ["{open}"] = await _books.Tenant.StartTextSessionAsync(await _books.Tenant.CreateAssistantAsync()) };
        foreach (var (name, id) in ids.ToList())
        {
            ids[name] = Ids.New(Ids.Session, TimeProvider.System.GetUtcNow().AddDays(-16));
            await _books.AsSuperuserAsync(
                $"""
                UPDATE session.sessions SET id = '{ids[name]}' WHERE id = '{id}';
                UPDATE billing.holds SET subject_id = '{ids[name]}', placed_at = placed_at - interval '16 days' WHERE subject_id = '{id}'
                """);
        }

        Assert.That(await DifferencesAsync(), Is.Empty);
        await _books.AsSuperuserAsync(ids.Aggregate(sql, (text, id) => text.Replace(id.Key, id.Value, StringComparison.Ordinal)));
        Assert.That(await DifferencesAsync(), Is.EqualTo(new[] { (what, ids[about]) }));
        Assert.That(await RunJobAsync(), Is.EqualTo(1), "The nightly run finds it.");

        var (code, text) = await RunHostAsync();
        Assert.That(code, Is.EqualTo(1));
        Assert.That(text, Does.StartWith($"{what}: {ids[about]} of {_books.Tenant.TenantId}, charged ").And.EndWith(": 1 difference\n"));

        async Task<IEnumerable<(string, string)>> DifferencesAsync() =>
            (await _books.AsOperatorAsync(HttpMethod.Get, "/v1/billing/reconciliation")).Body!["differences"]!.AsArray().Select(d => (d!["what"]!.GetValue<string>(), d["subject_id"]!.GetValue<string>()));
    }

    [Test]
    public async Task The_hosts_verb_exits_with_0_when_all_agrees_and_says_what_it_does_not_understand()
    {
        await _books.ChatAsync(messages: 1);
        Assert.That(await RunHostAsync(), Is.EqualTo((0, "conversations 1, holds 1: all agrees\n")));
        var tomorrow = TimeProvider.System.GetUtcNow().AddDays(1).ToString("yyyy-MM-dd", null);
        Assert.That(await RunHostAsync("--from", "2026-01-01", "--until", tomorrow), Is.EqualTo((0, "conversations 1, holds 1: all agrees\n")));
        Assert.That(await RunHostAsync("--from", "2026-01-01", "--until", "2026-02-01"), Is.EqualTo((0, "conversations 0, holds 0: all agrees\n")));
        Assert.That((await RunHostAsync("--from", "yesterday")).Code, Is.EqualTo(1));
        Assert.That((await RunHostAsync("--from", "2026-02-01", "--until", "2026-01-01")).Code, Is.EqualTo(1));
    }

    [Test]
    public async Task A_balance_that_its_entries_do_not_make_is_listed()
    {
        await _books.ChatAsync(messages: 1);
        await _books.AsSuperuserAsync("UPDATE billing.heads SET available = available + 5");
        var trial = await _books.AsOperatorAsync(HttpMethod.Get, "/v1/billing/trial-balance");
        var difference = trial.Body!["differences"]!.AsArray().Single()!;
        Assert.That((trial.Get<bool>("ok"), trial.Get<long>("total")), Is.EqualTo((false, 0L)));
        Assert.That((difference["what"]!.GetValue<string>(), difference["kept"]!.GetValue<long>() - difference["summed"]!.GetValue<long>()), Is.EqualTo(("available", 5L)));
    }

    [TestCase("from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "from")]
    [TestCase("from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z", "from")]
    [TestCase("to=0001-01-01T00:00:00Z", "to")]
    [TestCase("to=9999-12-31T23:59:59Z", "to")]
    [OnSharedHost]
    public async Task A_time_that_cannot_be_is_refused(string query, string field)
    {
        var refused = await _books.AsOperatorAsync(HttpMethod.Get, $"/v1/billing/reconciliation?{query}");
        Assert.That((refused.Status, refused.Fields.Single()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, field)));
    }

    [TestCase("trial-balance")]
    [TestCase("reconciliation")]
    [OnSharedHost]
    public async Task The_books_of_all_are_the_operators(string path) =>
        Assert.That((await _books.Tenant.GetAsync($"/v1/billing/{path}")).Status, Is.EqualTo(HttpStatusCode.Forbidden));

    private async Task<(int Code, string Text)> RunHostAsync(params string[] options)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "VoicePlatform.Host.dll"), "reconcile", .. options])
        {
            UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        start.Environment["DATABASE_URL"] = _books.Host.Database.App;
        start.Environment["DATA_DIR"] = _books.Host.DataDir;
        start.Environment["LIVEKIT_FFI_LIBRARY"] = "unused";
        using var host = Process.Start(start)!;
        var (text, errors) = (host.StandardOutput.ReadToEndAsync(), host.StandardError.ReadToEndAsync());
        await host.WaitForExitAsync();
        await TestContext.Out.WriteAsync(await errors);
        return (host.ExitCode, await text);
    }

    private async Task<long> RunJobAsync()
    {
        long recorded = -1;
        using var listener = new MeterListener();
        var mine = new AsyncLocal<bool> { Value = true };
        listener.InstrumentPublished = (instrument, l) =>
        {
            if (instrument.Name == "voiceplatform.billing.differences")
            {
                l.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<long>((_, value, _, _) =>
        {
            if (mine.Value)
            {
                Interlocked.Exchange(ref recorded, value);
            }
        });
        listener.Start();
        await using var scope = _books.Host.Services.CreateAsyncScope();
        await scope.ServiceProvider.GetServices<IScheduledJob>().Single(j => j.Name == "billing.reconcile").RunAsync(CancellationToken.None);
        return Interlocked.Read(ref recorded);
    }
}
