using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Npgsql;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Billing;

/// <summary>What finance takes away: statements and the export.</summary>
internal sealed class StatementTests
{
    private Books _books = null!;

    private static DateTimeOffset Now => TimeProvider.System.GetUtcNow();

    private static string ThisMonth => Month(Now);

    private static string LastMonth => Month(new DateTimeOffset(Now.Year, Now.Month, 1, 0, 0, 0, TimeSpan.Zero).AddDays(-1));

    [SetUp]
    public async Task SetUpAsync()
    {
        _books = await Books.OpenSharedAsync();
        await _books.TopUpAsync(10_000_000);
    }

    [TearDown]
    public async Task TearDownAsync() => await _books.DisposeAsync();

    [Test]
    public async Task Opening_and_movements_make_the_closing_balance()
    {
        var wrong = await _books.TopUpAsync(4_000_000);
        await _books.ReverseAsync(wrong);
        await _books.ChatAsync(messages: 3);
        await _books.Tenant.StartTextSessionAsync(await _books.Tenant.CreateAssistantAsync());

        var statement = (await _books.Tenant.GetAsync($"/v1/billing/statements/{ThisMonth}")).Body!;
        var movements = statement["movements"]!.AsArray();
        Assert.That(statement["status"]!.GetValue<string>(), Is.EqualTo("open"));
        Assert.That(statement["opening"]!["posted"]!.GetValue<long>(), Is.Zero);
        Assert.That(Amount(movements, "topup", null), Is.EqualTo(14_000_000));
        Assert.That(Amount(movements, "reversal", null), Is.EqualTo(-4_000_000));
        Assert.That(Amount(movements, "charge", "message"), Is.EqualTo(-30_000));
        Assert.That(movements.Single(m => m!["component"]?.GetValue<string>() == "message")!["quantity"]!.GetValue<long>(), Is.EqualTo(3));

        var (available, held) = await _books.Tenant.BalanceAsync();
        Assert.That(held, Is.Positive);
        Assert.That(statement["closing"]!["posted"]!.GetValue<long>(), Is.EqualTo(available + held).And.EqualTo(movements.Sum(m => m!["amount"]!.GetValue<long>())));
        Assert.That(statement["closing"]!["held"]!.GetValue<long>(), Is.EqualTo(held));
    }

    [Test]
    public async Task A_month_that_is_over_is_told_the_same_for_ever()
    {
        await _books.ChatAsync(messages: 2);
        await ToLastMonthAsync(_books);
        var closed = await _books.TextAsync($"/v1/billing/statements/{LastMonth}");
        Assert.That(JsonNode.Parse(closed)!["status"]!.GetValue<string>(), Is.EqualTo("closed"));
        var closing = JsonNode.Parse(closed)!["closing"]!["posted"]!.GetValue<long>();

        // Not even what the owner would smuggle into it changes it.
        await _books.TopUpAsync(1_000_000);
        await _books.AsSuperuserAsync($"UPDATE billing.entries SET posted_at = posted_at - interval '40 days' WHERE tenant_id = '{_books.Tenant.TenantId}' AND account = 'platform:revenue'");
        Assert.That(await _books.TextAsync($"/v1/billing/statements/{LastMonth}"), Is.EqualTo(closed));

        var now = (await _books.Tenant.GetAsync($"/v1/billing/statements/{ThisMonth}")).Body!;
        Assert.That(now["opening"]!["posted"]!.GetValue<long>(), Is.EqualTo(closing));
        Assert.That(now["closing"]!["posted"]!.GetValue<long>(), Is.EqualTo(closing + 1_000_000));

        await using var app = NpgsqlDataSource.Create(_books.Host.Database.App);
        await using var change = app.CreateCommand("UPDATE billing.statements SET month = month");
        Assert.That(Assert.ThrowsAsync<PostgresException>(() => change.ExecuteNonQueryAsync())!.SqlState, Is.EqualTo(PostgresErrorCodes.InsufficientPrivilege));
        Assert.That(Assert.ThrowsAsync<PostgresException>(() => _books.Host.SqlAsync("UPDATE billing.statements SET month = month"))!.SqlState, Is.EqualTo("VP500"));
    }

    [Test]
    public async Task Nothing_is_posted_into_a_closed_month_when_the_clock_goes_back()
    {
        await ToLastMonthAsync(_books);
        await _books.TextAsync($"/v1/billing/statements/{LastMonth}");
        var posted = await ScalarAsync<bool>("SELECT posted_at >= date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '1 microsecond' FROM billing.heads WHERE tenant_id = $1");
        Assert.That(posted, Is.True, "The next transaction comes after the head's.");
    }

    [Test]
    public async Task Many_who_close_a_month_at_once_are_told_the_same()
    {
        await ToLastMonthAsync(_books);
        var told = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => _books.TextAsync($"/v1/billing/statements/{LastMonth}")));
        Assert.That(told.Distinct().Count(), Is.EqualTo(1));
    }

    [Test]
    public async Task Months_that_are_over_are_closed_also_when_nobody_asks()
    {
        var nobody = await _books.Host.SignUpAsync("New");
        await _books.ChatAsync(messages: 2);
        await ToLastMonthAsync(_books, days: 40);
        await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => _books.Host.RunJobAsync("billing.close-statements")));
        await _books.Host.RunJobAsync("billing.close-statements");

        Assert.That(
            await ScalarAsync<string>("SELECT string_agg(to_char(month, 'YYYY-MM'), ' ' ORDER BY month DESC) FROM billing.statements WHERE tenant_id = $1"), Does.StartWith(LastMonth),
            "The month of the first transaction, and those since.");
        Assert.That(await ScalarAsync<long>("SELECT count(DISTINCT month) FROM billing.statements WHERE tenant_id = $1"), Is.EqualTo(2));
        Assert.That(await ScalarAsync<long>($"SELECT count(*) FROM billing.statements WHERE tenant_id IN ($1, '{nobody.TenantId}')"), Is.EqualTo(2), "Each once, and none of whom has nothing.");
        var told = JsonNode.Parse(await _books.TextAsync($"/v1/billing/statements/{LastMonth}"))!;
        Assert.That((told["status"]!.GetValue<string>(), told["closing"]!["posted"]!.GetValue<long>()), Is.EqualTo(("closed", 9_980_000L)));
        Assert.That(
            told["as_of"]!.GetValue<DateTimeOffset>().UtcDateTime, Is.EqualTo(await ScalarAsync<DateTime>($"SELECT closed_at FROM billing.statements WHERE tenant_id = $1 AND month = '{LastMonth}-01'")).Within(TimeSpan.FromMilliseconds(1)),
            "It is the one that was kept.");
    }

    [Test]
    public async Task Postings_go_on_while_a_month_is_summed_up()
    {
        await using var books = await Books.OpenAsync();
        await books.TopUpAsync(10_000_000);
        await ToLastMonthAsync(books);
        await using var owner = NpgsqlDataSource.Create(books.Host.Database.Owner);
        await using var connection = await owner.OpenConnectionAsync();
        await using var slow = await connection.BeginTransactionAsync();
        await using (var hinder = new NpgsqlCommand("LOCK TABLE billing.statements IN SHARE ROW EXCLUSIVE MODE", connection))
        {
            await hinder.ExecuteNonQueryAsync();
        }

        // As if the sum took long: it is kept only when the table is let go.
        var closing = books.TextAsync($"/v1/billing/statements/{LastMonth}");
        await books.UntilSomebodyWaitsAsync(connection);
        await books.TopUpAsync(1).WaitAsync(TimeSpan.FromSeconds(30));
        Assert.That(closing.IsCompleted, Is.False);
        await slow.CommitAsync();
        Assert.That(JsonNode.Parse(await closing)!["closing"]!["posted"]!.GetValue<long>(), Is.EqualTo(10_000_000), "And it is none of that month.");
    }

    [Test]
    public async Task A_statement_is_a_table_and_a_page_too()
    {
        await _books.ChatAsync(messages: 1);
        var csv = (await _books.TextAsync($"/v1/billing/statements/{ThisMonth}?format=csv")).TrimEnd().Split("\r\n").Select(l => l.Split(',')).ToList();
        var amount = Array.IndexOf(csv[0], "amount");
        Assert.That(csv[1..^1].Sum(l => long.Parse(l[amount], CultureInfo.InvariantCulture)), Is.EqualTo(long.Parse(csv[^1][amount], CultureInfo.InvariantCulture)));
        Assert.That(csv.Select(l => l.Length), Is.All.EqualTo(csv[0].Length));

        var page = await _books.TextAsync($"/v1/billing/statements/{ThisMonth}?format=html");
        Assert.That(page, Does.StartWith("<!doctype html>").And.Contain("10.000000").And.Contain("-0.010000").And.Contain(_books.Tenant.TenantId));
        Assert.That((await _books.Tenant.GetAsync($"/v1/billing/statements/{ThisMonth}?format=pdf")).Fields, Is.EqualTo(new[] { "format" }));
    }

    [TestCase("2999-01")]
    [TestCase("2026-13")]
    [TestCase("2026-1")]
    [TestCase("last")]
    public async Task There_is_no_statement_of_what_has_not_begun(string month)
    {
        var answer = await _books.Tenant.GetAsync($"/v1/billing/statements/{month}");
        Assert.That((answer.Status, answer.Code), Is.EqualTo((HttpStatusCode.NotFound, "billing.statement_not_found")));
    }

    [Test]
    public async Task A_month_before_the_first_credit_is_empty_and_not_kept()
    {
        var empty = (await _books.Tenant.GetAsync("/v1/billing/statements/1987-05")).Body!;
        Assert.That((empty["status"]!.GetValue<string>(), empty["closing"]!["posted"]!.GetValue<long>()), Is.EqualTo(("closed", 0L)));
        Assert.That(await ScalarAsync<long>("SELECT count(*) FROM billing.statements WHERE tenant_id = $1"), Is.Zero);
    }

    [Test]
    public async Task The_export_adds_up_to_the_balance_however_long_it_is()
    {
        await _books.ChatAsync(messages: 2);
        await _books.Tenant.StartTextSessionAsync(await _books.Tenant.CreateAssistantAsync());
        await _books.TopUpOftenAsync(1300);
        var (available, held) = await _books.Tenant.BalanceAsync();
        var own = await ExportAsync("");
        Assert.That(own.Count, Is.GreaterThan(1300));
        Assert.That(own.Sum(r => long.Parse(r["amount"], CultureInfo.InvariantCulture)), Is.EqualTo(available + held));
        Assert.That(own.Where(r => r["account"] == "available").Sum(r => long.Parse(r["amount"], CultureInfo.InvariantCulture)), Is.EqualTo(available));
        Assert.That(own.Select(r => r["seq"]).Select(long.Parse), Is.Ordered);
        Assert.That(own.Select(r => r["entry_id"]), Is.Unique);

        var all = await ExportAsync("?accounts=all");
        Assert.That(all.Sum(r => long.Parse(r["amount"], CultureInfo.InvariantCulture)), Is.Zero);
        Assert.That(all.Where(r => r["component"] == "message").Select(r => r["quantity"]), Is.EqualTo(new[] { "2" }));

        var middle = own[own.Count / 2]["posted_at"];
        var parts = (await ExportAsync($"?to={middle}")).Concat(await ExportAsync($"?from={middle}"));
        Assert.That(parts.Select(r => r["entry_id"]), Is.EqualTo(own.Select(r => r["entry_id"])));
        Assert.That((await _books.Tenant.GetAsync("/v1/billing/export.csv?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z")).Fields, Is.EqualTo(new[] { "from" }));
        Assert.That(await ExportOfAsync(await _books.Host.SignUpAsync("Others"), "?accounts=all"), Is.Empty);
    }

    [Test]
    public async Task Clients_that_do_not_read_their_export_hold_no_connection()
    {
        await using var books = await Books.OpenAsync();
        await books.TopUpOftenAsync(20_000);
        var lazy = await Task.WhenAll(Enumerable.Range(0, 120).Select(async _ =>
        {
            var request = new HttpRequestMessage(HttpMethod.Get, "/v1/billing/export.csv?accounts=all");
            request.Headers.Add("x-api-key", books.Tenant.Key);
            return await books.Host.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        }));
        Assert.That((await books.Tenant.GetAsync("/v1/billing/balance")).Status, Is.EqualTo(HttpStatusCode.OK));
        foreach (var response in lazy)
        {
            response.Dispose();
        }
    }

    private Task<List<Dictionary<string, string>>> ExportAsync(string query) => ExportOfAsync(_books.Tenant, query);

    private async Task<List<Dictionary<string, string>>> ExportOfAsync(TestTenant tenant, string query)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/billing/export.csv" + query);
        request.Headers.Add("x-api-key", tenant.Key);
        using var response = await _books.Host.Http.SendAsync(request);
        Assert.That(response.Content.Headers.ContentType?.MediaType, Is.EqualTo("text/csv"));
        var lines = (await response.Content.ReadAsStringAsync()).TrimEnd().Split("\r\n").Select(l => l.Split(',')).ToList();
        return lines[1..].ConvertAll(l => lines[0].Zip(l).ToDictionary(c => c.First, c => c.Second));
    }

    /// <param name="days">So long before the end of that month.</param>
    private static Task ToLastMonthAsync(Books books, int days = 10)
    {
        const string ThisMonthsBegin = "date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'";
        return books.AsSuperuserAsync(
            $"""
            UPDATE billing.transactions SET posted_at = {ThisMonthsBegin} - interval '{days} days' + seq * interval '1 second' WHERE tenant_id = '{books.Tenant.TenantId}';
            UPDATE billing.entries SET posted_at = {ThisMonthsBegin} - interval '{days} days' + seq * interval '1 second' WHERE tenant_id = '{books.Tenant.TenantId}';
            UPDATE billing.heads SET posted_at = {ThisMonthsBegin} - interval '{days - 1} days' WHERE tenant_id = '{books.Tenant.TenantId}'
            """);
    }

    /// <param name="sql">Its $1 is the tenant.</param>
    private async Task<T> ScalarAsync<T>(string sql)
    {
        await using var app = NpgsqlDataSource.Create(_books.Host.Database.App);
        await using var command = app.CreateCommand(sql);
        command.Parameters.Add(new() { Value = _books.Tenant.TenantId });
        return (T)(await command.ExecuteScalarAsync())!;
    }

    private static string Month(DateTimeOffset time) => time.ToString("yyyy-MM", CultureInfo.InvariantCulture);

    private static long Amount(JsonArray movements, string kind, string? component) =>
        movements.Single(m => m!["kind"]!.GetValue<string>() == kind && m["component"]?.GetValue<string>() == component)!["amount"]!.GetValue<long>();
}
