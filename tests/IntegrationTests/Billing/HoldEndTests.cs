using System.Net;
using System.Text.Json.Nodes;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Billing;

/// <summary>No hold is without an end: the operator gives it back, or time does.</summary>
internal sealed class HoldEndTests
{
    private const long Funds = 10_000_000;
    private const string Job = "billing.expire-holds";
    private const string Over = "UPDATE session.sessions SET status = 'ended', ended_at = now(), cost = 0 WHERE id = '{0}'";
    private const string Gone = "UPDATE billing.holds SET subject_id = 'ses' || substr(id, 4) WHERE subject_id = '{0}'";

    private Books _books = null!;
    private string _session = "";
    private string _hold = "";

    private string DaysAgo => $"UPDATE billing.holds SET placed_at = placed_at - interval '25 hours' WHERE id = '{_hold}'";

    [SetUp]
    public async Task SetUpAsync()
    {
        _books = await Books.OpenSharedAsync();
        await _books.TopUpAsync(Funds);
        _session = await _books.Tenant.StartTextSessionAsync(await _books.Tenant.CreateAssistantAsync());
        _hold = (await HoldsAsync()).Single()["id"]!.GetValue<string>();
    }

    [TearDown]
    public async Task TearDownAsync() => await _books.DisposeAsync();

    [TestCase(Over, "hold_open")]
    [TestCase(Gone, "no_conversation")]
    public async Task The_operator_gives_back_what_nobody_settles_and_the_books_agree_again(string sql, string what)
    {
        var inUse = await ReleaseAsync();
        Assert.That((inUse.Status, inUse.Code), Is.EqualTo((HttpStatusCode.Conflict, "billing.hold_in_use")));
        await _books.AsSuperuserAsync(string.Format(null, sql, _session));
        Assert.That(await _books.Tenant.DifferencesAsync(), Does.Contain(what));
        var held = (await _books.Tenant.BalanceAsync()).Held;
        Assert.That(held, Is.Positive);

        var answers = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => ReleaseAsync()));
        Assert.That(answers.Select(a => a.Status), Is.All.EqualTo(HttpStatusCode.OK), answers[0].Body?.ToJsonString());
        Assert.That(answers.Select(a => a.Body!.ToJsonString()).Distinct().Count(), Is.EqualTo(1), "All are told the same.");
        Assert.That((answers[0].Get<string>("status"), answers[0].Get<long>("amount"), answers[0].Get<long>("available")), Is.EqualTo(("released", held, Funds)));
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((Funds, 0L)));

        var release = (await _books.Tenant.GetAsync("/v1/billing/transactions?kind=release")).Body!["data"]!.AsArray().Single()!;
        Assert.That((release["id"]!.GetValue<string>(), release["metadata"]!["reason"]!.GetValue<string>()), Is.EqualTo((answers[0].Get<string>("transaction_id"), "its host is gone")));
        var audit = (await _books.Tenant.GetAsync("/v1/audit?action=billing.hold_released")).Body!["data"]!.AsArray().Single()!;
        Assert.That((audit["subject_id"]!.GetValue<string>(), audit["detail"]!["reason"]!.GetValue<string>()), Is.EqualTo((_hold, "its host is gone")));
        Assert.That(await _books.Tenant.DifferencesAsync(), Does.Not.Contain(what), "That was its cure.");
        await _books.AssertSoundAsync();
        await AssertVerifiedAsync();
    }

    [Test]
    public async Task What_was_settled_or_is_not_there_cannot_be_released()
    {
        await _books.SayAsync(_session, 1);
        await _books.EndAsync(_session);
        var settled = await ReleaseAsync();
        Assert.That((settled.Status, settled.Code), Is.EqualTo((HttpStatusCode.Conflict, "billing.hold_settled")));

        var unknown = await _books.AsOperatorAsync(HttpMethod.Post, "/v1/billing/holds/hld00000000000000000000000000/release", new { reason = "x" });
        Assert.That((unknown.Status, unknown.Code), Is.EqualTo((HttpStatusCode.NotFound, "billing.hold_not_found")));
        var silent = await _books.AsOperatorAsync(HttpMethod.Post, $"/v1/billing/holds/{_hold}/release", new { });
        Assert.That((silent.Status, silent.Fields.Single()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, "reason")));
        Assert.That((await _books.Tenant.PostAsync($"/v1/billing/holds/{_hold}/release", new { reason = "mine" })).Status, Is.EqualTo(HttpStatusCode.Forbidden));
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((Funds - 10_000, 0L)));
    }

    [TestCase(Over, "conversation_over")]
    [TestCase(Gone, "no_conversation")]
    public async Task After_a_day_time_gives_it_back_and_tells(string sql, string reason)
    {
        await _books.AsSuperuserAsync(string.Format(null, sql, _session));
        await _books.Host.RunJobAsync(Job);
        Assert.That((await HoldsAsync("active")), Has.Count.EqualTo(1), "Not yet.");

        await _books.AsSuperuserAsync(DaysAgo);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => _books.Host.RunJobAsync(Job)));
        var hold = (await HoldsAsync("expired")).Single();
        Assert.That(hold["ended_at"], Is.Not.Null);
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((Funds, 0L)));
        Assert.That((await _books.TransactionAsync("release"))["metadata"]!["reason"]!.GetValue<string>(), Is.EqualTo(reason));
        Assert.That(
            async () => (await _books.Tenant.GetAsync("/v1/events?type=billing.difference")).Body!["data"]!.AsArray()
                .Select(e => (e!["data"]!["what"]!.GetValue<string>(), e["data"]!["subject_id"]!.GetValue<string>())),
            Is.EqualTo(new[] { ("hold_expired", hold["subject_id"]!.GetValue<string>()) }).After(20_000, 50), "Told once.");

        var released = await ReleaseAsync();
        Assert.That((released.Status, released.Get<string>("status")), Is.EqualTo((HttpStatusCode.OK, "expired")), "It is what was wanted.");
        await _books.AssertSoundAsync();
        await AssertVerifiedAsync();
    }

    [Test]
    public async Task What_runs_keeps_its_hold_however_old()
    {
        await _books.AsSuperuserAsync(DaysAgo);
        await _books.Host.RunJobAsync(Job);
        Assert.That(await HoldsAsync("active"), Has.Count.EqualTo(1));
        await _books.SayAsync(_session, 1);
        await _books.EndAsync(_session);
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((Funds - 10_000, 0L)));
    }

    private Task<Answer> ReleaseAsync() => _books.AsOperatorAsync(HttpMethod.Post, $"/v1/billing/holds/{_hold}/release", new { reason = "its host is gone" });

    private async Task<List<JsonNode>> HoldsAsync(string? status = null) =>
        [.. (await _books.Tenant.GetAsync($"/v1/billing/holds{(status is null ? "" : $"?status={status}")}")).Body!["data"]!.AsArray().Select(h => h!)];

    /// <summary>Also apart from the database's own functions.</summary>
    private async Task AssertVerifiedAsync()
    {
        await using var output = new StringWriter();
        await using var source = Npgsql.NpgsqlDataSource.Create(_books.Host.Database.App);
        Assert.That(await VoicePlatform.Billing.BillingModule.VerifyLedgerAsync(source, _books.Tenant.TenantId, output, CancellationToken.None), Is.True, output.ToString());
    }
}
