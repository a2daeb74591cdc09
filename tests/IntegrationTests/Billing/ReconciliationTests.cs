using System.Diagnostics.Metrics;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using VoicePlatform.IntegrationTests.Contract;
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

    [TestCase("UPDATE session.sessions SET cost = cost + 1 WHERE id = '{ended}'", "cost_differs", true)]
    [TestCase("UPDATE session.sessions SET status = 'ended', ended_at = now(), cost = 0 WHERE id = '{open}'", "hold_open", false)]
    [TestCase("UPDATE session.sessions SET status = 'active', ended_at = NULL WHERE id = '{ended}'", "ended_early", true)]
    [TestCase("UPDATE session.sessions SET is_test = true WHERE id = '{ended}'", "no_conversation", true)]
    [TestCase("UPDATE billing.holds SET subject_id = 'elsewhere' WHERE subject_id = '{ended}'", "no_charge", true)]
    public async Task What_does_not_agree_is_listed(string sql, string what, bool isAboutEnded)
    {
        var ended = await _books.ChatAsync(messages: 1);
        var open = await _books.Tenant.StartTextSessionAsync(await _books.Tenant.CreateAssistantAsync());
        await _books.AsOwnerAsync(sql.Replace("{ended}", ended, StringComparison.Ordinal).Replace("{open}", open, StringComparison.Ordinal));

        var report = await _books.AsOperatorAsync(HttpMethod.Get, "/v1/billing/reconciliation");
        var difference = report.Body!["differences"]!.AsArray().Single()!;
        Assert.That((report.Get<bool>("ok"), difference["what"]!.GetValue<string>(), difference["subject_id"]!.GetValue<string>()), Is.EqualTo((false, what, isAboutEnded ? ended : open)));

        Assert.That(await RunJobAsync(), Is.EqualTo(1), "The nightly run counts it.");
        Assert.That(await RunJobAsync(), Is.EqualTo(1), "And the next one.");
        Assert.That(
            async () => (await _books.Tenant.GetAsync("/v1/events?type=billing.difference&limit=100")).Body!["data"]!.AsArray()
                .Select(e => (e!["data"]!["what"]!.GetValue<string>(), e["data"]!["subject_id"]!.GetValue<string>())),
            Is.EqualTo(new[] { (what, isAboutEnded ? ended : open) }).After(5000, 50), "Told once.");
    }

    [Test]
    public async Task Calls_are_held_against_the_ledger_too()
    {
        var call = (await Resources.MakeAsync(_books.Tenant)).Ids[Resources.Call];
        await AssertAgreesAsync();
        Assert.That((int)(await _books.Tenant.PostAsync($"/v1/calls/{call}/end")).Status, Is.InRange(200, 204));
        await AssertAgreesAsync();

        await _books.AsOwnerAsync($"UPDATE call.calls SET cost = 7 WHERE id = '{call}'");
        var difference = (await _books.AsOperatorAsync(HttpMethod.Get, "/v1/billing/reconciliation")).Body!["differences"]!.AsArray().Single()!;
        Assert.That((difference["what"]!.GetValue<string>(), difference["charged"]!.GetValue<long>(), difference["cost"]!.GetValue<long>()), Is.EqualTo(("cost_differs", 0L, 7L)));

        async Task AssertAgreesAsync()
        {
            var report = await _books.AsOperatorAsync(HttpMethod.Get, "/v1/billing/reconciliation");
            Assert.That((report.Get<bool>("ok"), report.Get<long>("conversations")), Is.EqualTo((true, 2L)), report.Body?.ToJsonString());
        }
    }

    [Test]
    public async Task A_balance_that_its_entries_do_not_make_is_listed()
    {
        await _books.ChatAsync(messages: 1);
        await _books.AsOwnerAsync("UPDATE billing.heads SET available = available + 5");
        var trial = await _books.AsOperatorAsync(HttpMethod.Get, "/v1/billing/trial-balance");
        var difference = trial.Body!["differences"]!.AsArray().Single()!;
        Assert.That((trial.Get<bool>("ok"), trial.Get<long>("total")), Is.EqualTo((false, 0L)));
        Assert.That((difference["what"]!.GetValue<string>(), difference["kept"]!.GetValue<long>() - difference["summed"]!.GetValue<long>()), Is.EqualTo(("available", 5L)));
    }

    [TestCase("from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "from")]
    [TestCase("from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z", "from")]
    [TestCase("to=0001-01-01T00:00:00Z", "to")]
    [TestCase("to=9999-12-31T23:59:59Z", "to")]
    public async Task A_time_that_cannot_be_is_refused(string query, string field)
    {
        var refused = await _books.AsOperatorAsync(HttpMethod.Get, $"/v1/billing/reconciliation?{query}");
        Assert.That((refused.Status, refused.Fields.Single()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, field)));
    }

    [TestCase("trial-balance")]
    [TestCase("reconciliation")]
    public async Task The_books_of_all_are_the_operators(string path) =>
        Assert.That((await _books.Tenant.GetAsync($"/v1/billing/{path}")).Status, Is.EqualTo(HttpStatusCode.Forbidden));

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
