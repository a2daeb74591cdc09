using System.Net;
using System.Text.Json.Nodes;
using Npgsql;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Billing;

/// <summary>What is told of a time that is over stays so, and lists go by time.</summary>
internal sealed class PastTests
{
    private Books _books = null!;
    private NpgsqlDataSource _app = null!;

    [SetUp]
    public async Task SetUpAsync()
    {
        _books = await Books.OpenAsync();
        _app = NpgsqlDataSource.Create(_books.Host.Database.App);
        await _books.TopUpAsync(1_000_000);
    }

    [TearDown]
    public async Task TearDownAsync()
    {
        await _app.DisposeAsync();
        await _books.DisposeAsync();
    }

    [Test]
    [OnSharedHost]
    public async Task What_was_paid_earlier_says_so_and_changes_no_balance_of_the_past()
    {
        var paid = TimeProvider.System.GetUtcNow().AddDays(-3);
        var body = new { tenant_id = _books.Tenant.TenantId, amount = 77L, external_reference = "transfer", effective_at = paid };
        var first = await _books.AsOperatorAsync(HttpMethod.Post, "/v1/billing/topups", body);
        var again = await _books.AsOperatorAsync(HttpMethod.Post, "/v1/billing/topups", body);
        var without = await _books.AsOperatorAsync(HttpMethod.Post, "/v1/billing/topups", new { body.tenant_id, body.amount, body.external_reference });
        Assert.That(new[] { again, without }.Select(a => (a.Get<string>("transaction_id"), a.Get<bool>("replayed"))), Is.All.EqualTo((first.Get<string>("transaction_id"), true)));
        var other = await _books.AsOperatorAsync(HttpMethod.Post, "/v1/billing/topups", body with { effective_at = paid.AddSeconds(1) });
        Assert.That((other.Status, other.Code), Is.EqualTo((HttpStatusCode.Conflict, "billing.reference_used")));

        var booked = await _books.TransactionAsync("topup");
        Assert.That(booked["effective_at"]!.GetValue<DateTimeOffset>(), Is.EqualTo(paid).Within(TimeSpan.FromMilliseconds(1)));
        Assert.That(booked["posted_at"]!.GetValue<DateTimeOffset>(), Is.GreaterThan(paid.AddDays(2)));
        Assert.That((await _books.Tenant.GetAsync($"/v1/billing/balance?at={Uri.EscapeDataString(paid.AddHours(1).ToString("O"))}")).Get<long>("posted"), Is.Zero);
        await _books.AssertSoundAsync();
    }

    [TestCase("balance?at={0}")]
    [TestCase("export.csv?to={0}")]
    [TestCase("entries?to={0}")]
    [TestCase("transactions?to={0}")]
    [TestCase("entries?account=available&to={0}")]
    [OnSharedHost]
    public async Task Who_reads_up_to_an_instant_waits_for_what_is_posted_before_it(string path)
    {
        await using var connection = await _app.OpenConnectionAsync();
        await using var open = await connection.BeginTransactionAsync();
        await PostAsync(connection, 77);
        var now = Now();
        var reading = _books.TextAsync($"/v1/billing/{string.Format(null, path, now)}");

        await _books.UntilSomebodyWaitsAsync(connection);
        Assert.That(reading.IsCompleted, Is.False, "A posting of before that instant is on its way.");
        await open.CommitAsync();
        var told = await reading;
        Assert.That(told, Does.Contain(path.StartsWith("balance", StringComparison.Ordinal) ? "1000077" : "txnopen77"));

        await PostAsync(connection, 5);
        Assert.That(await _books.TextAsync($"/v1/billing/{string.Format(null, path, now)}"), Is.EqualTo(told), "For ever.");
        await _books.AssertSoundAsync();
    }

    [Test, OnSharedHost]
    public async Task What_is_posted_after_a_reading_is_later_than_it_also_when_the_clock_goes_back()
    {
        var now = Now();
        await _books.TextAsync($"/v1/billing/balance?at={now}");
        Assert.That(
            await _books.Host.SqlAsync("SELECT posted_at >= $1::timestamptz FROM billing.heads WHERE tenant_id = $2", now, _books.Tenant.TenantId), Is.True, "The next transaction comes after the head's.");
    }

    [Test, OnSharedHost]
    public async Task Who_reads_what_is_long_over_waits_for_nobody()
    {
        await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System);
        var before = Now();
        await _books.TopUpAsync(1);
        await using var connection = await _app.OpenConnectionAsync();
        await using var open = await connection.BeginTransactionAsync();
        await PostAsync(connection, 77);
        Assert.That((await _books.Tenant.GetAsync($"/v1/billing/balance?at={before}")).Get<long>("posted"), Is.EqualTo(1_000_000));
        await open.RollbackAsync();
    }

    [Test, OnSharedHost]
    public async Task What_is_still_to_come_has_no_balance()
    {
        var refused = await _books.Tenant.GetAsync($"/v1/billing/balance?at={TimeProvider.System.GetUtcNow().AddMinutes(1).UtcDateTime:o}");
        Assert.That((refused.Status, refused.Fields.Single()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, "at")));
        var first = await _books.Tenant.GetAsync("/v1/billing/balance?at=0001-01-01T00:00:00Z");
        Assert.That(first.Get<long>("posted"), Is.Zero);
    }

    [Test, OnSharedHost]
    public async Task Lists_go_by_time_from_included_to_excluded()
    {
        for (var i = 0; i < 5; i++)
        {
            await _books.TopUpAsync(1 + i);
        }

        var all = await ListAsync("transactions");
        Assert.That(all.Select(Seq), Is.EqualTo(new[] { 6L, 5, 4, 3, 2, 1 }));
        var (from, to) = (Time(all[4]), Time(all[1]));
        Assert.That((await ListAsync($"transactions?from={from}&to={to}")).Select(Seq), Is.EqualTo(new[] { 4L, 3, 2 }));
        Assert.That((await ListAsync($"transactions?kind=topup&from={from}")).Select(Seq), Is.EqualTo(new[] { 6L, 5, 4, 3, 2 }));
        Assert.That((await ListAsync($"transactions?from={from}&to={to}&starting_after={all[2]["id"]}")).Select(Seq), Is.EqualTo(new[] { 3L, 2 }));
        Assert.That(await ListAsync("transactions?to=2020-01-01T00:00:00Z"), Is.Empty);
        Assert.That(await ListAsync("transactions?from=2099-01-01T00:00:00Z"), Is.Empty);

        var entries = (await ListAsync($"entries?from={from}&to={to}")).ConvertAll(e => e["id"]!.GetValue<string>());
        Assert.That(entries, Has.Count.EqualTo(6));
        Assert.That((await ListAsync($"entries?from={from}&to={to}&account=available")).Select(e => e["amount"]!.GetValue<long>()), Is.EqualTo(new[] { 3L, 2, 1 }));
        Assert.That((await ListAsync($"entries?from={from}&to={to}&starting_after={entries[2]}")).Select(e => e["id"]!.GetValue<string>()), Is.EqualTo(entries[3..]));
        var available = (await ListAsync("entries?account=available")).ConvertAll(e => e["id"]!.GetValue<string>());
        Assert.That((await ListAsync($"entries?account=available&limit=2&starting_after={available[1]}")).Select(e => e["id"]!.GetValue<string>()), Is.EqualTo(available[2..4]));
        Assert.That((await ListAsync($"entries?transaction_id={all[0]["id"]}")).Count, Is.EqualTo(2));
    }

    // Also under row security, where not every condition may be an index's.
    [Test]
    public async Task A_list_is_read_by_its_index_however_long_it_is()
    {
        await _books.TopUpOftenAsync(4000);
        await _books.Host.SqlAsync("ANALYZE billing.entries, billing.transactions");
        foreach (var (path, index, count) in new[]
        {
            ("entries", "entries_of_tenant", 20), ("entries?account=platform:promotional", "entries_by_account", 0),
            ("transactions?subject_id=ses77", "transactions_of_subject", 1), ("transactions?kind=expiry", "transactions_of_kind", 0),
        })
        {
            var before = await ScansAsync(index);
            Assert.That(await ListAsync(path), Has.Count.EqualTo(count), path);
            Assert.That(() => ScansAsync(index), Is.GreaterThan(before).After(20_000, 100), path);
        }

        async Task<long> ScansAsync(string index) => (long)(await _books.Host.SqlAsync("SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = $1", index))!;
    }

    [Test, OnSharedHost]
    public async Task An_account_that_there_is_not_is_refused_by_name()
    {
        var refused = await _books.Tenant.GetAsync("/v1/billing/entries?account=platform:cash");
        Assert.That((refused.Status, refused.Fields.Single()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, "account")));
        Assert.That((await ListAsync("entries?account=platform:funding")).Count, Is.EqualTo(1));
    }

    private static string Now() => $"{TimeProvider.System.GetUtcNow().UtcDateTime:yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'}";

    private async Task PostAsync(NpgsqlConnection connection, long amount)
    {
        var tenant = _books.Tenant.TenantId;
        await using var post = new NpgsqlCommand(
            $$"""
            SELECT billing.post('txnopen{{amount}}{{tenant}}', '{{tenant}}', 'topup', 'open{{amount}}', NULL, '{}',
              '[{"id": "a{{amount}}{{tenant}}", "account": "available", "amount": {{amount}}}, {"id": "b{{amount}}{{tenant}}", "account": "platform:funding", "amount": -{{amount}}}]')
            """, connection);
        await post.ExecuteNonQueryAsync();
    }

    private async Task<List<JsonNode>> ListAsync(string path) => [.. (await _books.Tenant.GetAsync($"/v1/billing/{path}")).Body!["data"]!.AsArray().Select(t => t!)];

    private static long Seq(JsonNode transaction) => transaction["seq"]!.GetValue<long>();

    private static string Time(JsonNode transaction) => transaction["posted_at"]!.GetValue<string>();
}
