using System.Globalization;
using System.Net;
using MediatR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using VoicePlatform.Billing.Ledger;
using VoicePlatform.IntegrationTests.Support;
using VoicePlatform.SharedKernel;

namespace VoicePlatform.IntegrationTests.Billing;

/// <summary>What having a number costs, month by month.</summary>
internal sealed class NumberMonthTests
{
    private const string German = "+493012345678";
    private const string American = "+12125550100";

    private Books _books = null!;
    private string _trunk = "";
    private string _assistant = "";

    [SetUp]
    public async Task SetUpAsync()
    {
        _books = await Books.OpenAsync();
        _assistant = await _books.Tenant.CreateAssistantAsync();
        _trunk = (await _books.Tenant.PostAsync("/v1/trunks", new { name = "In", direction = "inbound", allowed_addresses = new[] { "127.0.0.0/8" } })).Get<string>("id");
    }

    [TearDown]
    public async Task TearDownAsync() => await _books.DisposeAsync();

    [Test]
    public async Task A_number_is_charged_once_a_month_however_often_and_by_how_many_it_is_looked_at()
    {
        await _books.TopUpAsync(100_000_000);
        await PriceAsync(new { component = "number", unit = "month", rate = 3_000_000 }, new { component = "number", unit = "month", rate = 1_000_000, prefix = "+49" });
        var (german, american) = (await AddAsync(German), await AddAsync(American));

        await Task.WhenAll(RunAsync(), RunAsync(), RunAsync());
        await _books.Host.RunJobAsync("billing.charge-numbers");
        Assert.That(await ChargesAsync(), Is.EquivalentTo(new[] { $"{german} number:+49 1 month 1000000", $"{american} number 1 month 3000000" }));

        // Given up and taken again in a month that is paid for.
        Assert.That((int)(await _books.Tenant.DeleteAsync($"/v1/numbers/{german}")).Status, Is.InRange(200, 204));
        var again = await AddAsync(German);
        await RunAsync();
        Assert.That(await ChargesAsync(), Has.Count.EqualTo(2));

        // The next month, of those that are still there.
        Assert.That((int)(await _books.Tenant.DeleteAsync($"/v1/numbers/{american}")).Status, Is.InRange(200, 204));
        await RunAsync(months: 1);
        await RunAsync(months: 1);
        Assert.That((await ChargesAsync()).Take(1), Is.EqualTo(new[] { $"{again} number:+49 1 month 1000000" }));
        Assert.That(await ChargesAsync(), Has.Count.EqualTo(3));
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((95_000_000L, 0L)));

        await _books.AssertSoundAsync();
        var reconciled = await _books.AsOperatorAsync(HttpMethod.Get, "/v1/billing/reconciliation");
        Assert.That(reconciled.Get<bool>("ok"), Is.True, reconciled.Body?.ToJsonString());
        var statement = (await _books.Tenant.GetAsync($"/v1/billing/statements/{TimeProvider.System.GetUtcNow().ToString("yyyy-MM", CultureInfo.InvariantCulture)}")).Body!;
        Assert.That(
            statement["movements"]!.AsArray().Where(m => m!["kind"]!.GetValue<string>() == "charge").Select(m => $"{m!["component"]} {m["quantity"]} {m["amount"]}"),
            Is.EquivalentTo(new[] { "number 1 -3000000", "number:+49 2 -2000000" }));
    }

    [Test]
    public async Task The_card_in_force_when_the_number_was_added_prices_its_first_month()
    {
        await _books.TopUpAsync(100_000_000);
        await AddAsync(German);
        await PriceAsync(new { component = "number", unit = "month", rate = 5 });
        await RunAsync();
        Assert.That(await ChargesAsync(), Is.Empty, "It cost nothing when it was added.");

        await RunAsync(months: 1);
        Assert.That((await ChargesAsync()).Single(), Does.EndWith("number 1 month 5"));
    }

    [Test]
    public async Task What_credits_do_not_cover_is_uncollected_and_the_number_stays()
    {
        await _books.TopUpAsync(400);
        await PriceAsync(new { component = "number", unit = "month", rate = 1_000 });
        var number = await AddAsync(German);
        await RunAsync();

        var charge = await _books.TransactionAsync("charge", number);
        Assert.That(
            charge["entries"]!.AsArray().Select(e => (e!["account"]!.GetValue<string>(), e["amount"]!.GetValue<long>())),
            Is.EqualTo(new[] { ("available", -400L), ("platform:uncollected", -600L), ("platform:revenue", 1_000L) }));
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((0L, 0L)));
        Assert.That((await _books.Tenant.GetAsync($"/v1/numbers/{number}")).Status, Is.EqualTo(HttpStatusCode.OK));

        Assert.That((await _books.ReverseAsync(charge["id"]!.GetValue<string>())).Status, Is.EqualTo(HttpStatusCode.Created));
        await RunAsync();
        Assert.That(await ChargesAsync(), Has.Count.EqualTo(1), "What was taken back is not charged again.");
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((400L, 0L)));
        await _books.AssertSoundAsync();
    }

    private async Task PriceAsync(params object[] rates)
    {
        var made = await _books.AsOperatorAsync(HttpMethod.Post, "/v1/billing/rate-cards", new { rates });
        Assert.That(made.Status, Is.EqualTo(HttpStatusCode.Created), made.Body?.ToJsonString());
    }

    private async Task<string> AddAsync(string number)
    {
        var added = await _books.Tenant.PostAsync("/v1/numbers", new { number, trunk_id = _trunk, assistant_id = _assistant });
        Assert.That(added.Status, Is.EqualTo(HttpStatusCode.Created), added.Body?.ToJsonString());
        return added.Get<string>("id");
    }

    /// <summary>As a host does, so many months from now.</summary>
    private async Task RunAsync(int months = 0)
    {
        await using var scope = _books.Host.Services.CreateAsyncScope();
        var job = new ChargeNumbers(
            scope.ServiceProvider.GetRequiredService<NpgsqlDataSource>(), scope.ServiceProvider.GetRequiredService<Transactions>(),
            scope.ServiceProvider.GetRequiredService<IMediator>(), new At(TimeProvider.System.GetUtcNow().AddMonths(months)), NullLogger<ChargeNumbers>.Instance);
        await job.RunAsync(CancellationToken.None);
    }

    /// <summary>Newest first.</summary>
    private async Task<List<string>> ChargesAsync() => (await _books.Tenant.GetAsync("/v1/billing/transactions?kind=charge")).Body!["data"]!.AsArray()
        .Select(t => (Transaction: t!, Line: t!["entries"]!.AsArray().Single(e => e!["component"] is not null)!))
        .Select(t => $"{t.Transaction["metadata"]!["subject_id"]} {t.Line["component"]} {t.Line["quantity"]} {t.Line["unit"]} {t.Line["amount"]}").ToList();

    private sealed class At(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }
}
