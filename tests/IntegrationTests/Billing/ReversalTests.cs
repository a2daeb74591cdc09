using System.Net;

namespace VoicePlatform.IntegrationTests.Billing;

/// <summary>Corrections are transactions of their own.</summary>
internal sealed class ReversalTests
{
    private Books _books = null!;

    [SetUp]
    public async Task SetUpAsync() => _books = await Books.OpenSharedAsync();

    [TearDown]
    public async Task TearDownAsync() => await _books.DisposeAsync();

    [Test]
    public async Task A_top_up_is_taken_back_once_and_the_ledger_says_why()
    {
        await _books.TopUpAsync(3_000_000);
        var wrong = await _books.TopUpAsync(5_000_000);
        var reversed = await _books.ReverseAsync(wrong, "the payment bounced");

        Assert.That(reversed.Status, Is.EqualTo(HttpStatusCode.Created), reversed.Body?.ToJsonString());
        Assert.That((reversed.Get<long>("amount"), reversed.Get<string>("reverses"), reversed.Get<long>("available")), Is.EqualTo((-5_000_000L, wrong, 3_000_000L)));
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((3_000_000L, 0L)));

        var transaction = await _books.TransactionAsync("reversal");
        Assert.That(transaction["metadata"]!["reverses"]!.GetValue<string>(), Is.EqualTo(wrong));
        Assert.That(transaction["metadata"]!["reason"]!.GetValue<string>(), Is.EqualTo("the payment bounced"));
        Assert.That(transaction["entries"]!.AsArray().Sum(e => e!["amount"]!.GetValue<long>()), Is.Zero);

        Assert.That((await _books.ReverseAsync(wrong)).Code, Is.EqualTo("billing.already_reversed"));
        var again = await _books.ReverseAsync(transaction["id"]!.GetValue<string>());
        Assert.That((again.Status, again.Code), Is.EqualTo((HttpStatusCode.Conflict, "billing.not_reversible")));
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((3_000_000L, 0L)));

        var audit = (await _books.Tenant.GetAsync("/v1/audit?action=billing.reversed")).Body!["data"]!.AsArray();
        Assert.That(audit.Single()!["subject_id"]!.GetValue<string>(), Is.EqualTo(transaction["id"]!.GetValue<string>()));
        await _books.AssertSoundAsync();
    }

    [Test]
    public async Task A_charge_is_given_back_whole_with_its_lines()
    {
        await _books.TopUpAsync(10_000_000);
        var session = await _books.ChatAsync(messages: 3);
        var charge = await _books.TransactionAsync("charge", session);
        var cost = charge["entries"]!.AsArray().Where(e => e!["account"]!.GetValue<string>() == "platform:revenue").Sum(e => e!["amount"]!.GetValue<long>());
        Assert.That(cost, Is.Positive);
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((10_000_000L - cost, 0L)));

        var reversed = await _books.ReverseAsync(charge["id"]!.GetValue<string>());
        Assert.That(reversed.Get<long>("amount"), Is.EqualTo(cost));
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((10_000_000L, 0L)));

        var line = (await _books.TransactionAsync("reversal", session))["entries"]!.AsArray().Single(e => e!["component"]?.GetValue<string>() == "message")!;
        Assert.That((line["quantity"]!.GetValue<long>(), line["amount"]!.GetValue<long>()), Is.EqualTo((-3L, -30_000L)));
        await _books.AssertSoundAsync();
        Assert.That(await _books.Tenant.DifferencesAsync(), Is.Empty);
    }

    [Test]
    public async Task What_is_spent_or_reserved_cannot_be_taken_back()
    {
        var topUp = await _books.TopUpAsync(1_000_000);
        var session = await _books.Tenant.StartTextSessionAsync(await _books.Tenant.CreateAssistantAsync());
        var before = await _books.Tenant.BalanceAsync();
        Assert.That(before.Held, Is.Positive);

        var refused = await _books.ReverseAsync(topUp);
        Assert.That((refused.Status, refused.Code), Is.EqualTo((HttpStatusCode.Conflict, "billing.reversal_not_covered")));
        var hold = (await _books.TransactionAsync("hold", session))["id"]!.GetValue<string>();
        Assert.That((await _books.ReverseAsync(hold)).Code, Is.EqualTo("billing.not_reversible"));
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo(before));

        await _books.EndAsync(session);
        Assert.That((await _books.ReverseAsync(topUp)).Status, Is.EqualTo(HttpStatusCode.Created), "Nothing was used, so all of it is there again.");
        await _books.AssertSoundAsync();
    }

    [Test]
    public async Task Ten_at_once_reverse_it_once()
    {
        var topUp = await _books.TopUpAsync(1_000_000);
        await _books.TopUpAsync(20_000_000);
        var answers = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => _books.ReverseAsync(topUp)));

        Assert.That(answers.Count(a => a.Status is HttpStatusCode.Created), Is.EqualTo(1));
        Assert.That(answers.Where(a => a.Status is not HttpStatusCode.Created).Select(a => a.Code), Is.All.EqualTo("billing.already_reversed"));
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((20_000_000L, 0L)));
        await _books.AssertSoundAsync();
    }

    [Test]
    public async Task Only_the_operator_reverses_and_only_what_is_there()
    {
        var topUp = await _books.TopUpAsync(1_000_000);
        Assert.That((await _books.Tenant.PostAsync("/v1/billing/reversals", new { transaction_id = topUp, reason = "mine" })).Status, Is.EqualTo(HttpStatusCode.Forbidden));

        var unknown = await _books.ReverseAsync("txn00000000000000000000000000");
        Assert.That((unknown.Status, unknown.Code), Is.EqualTo((HttpStatusCode.NotFound, "billing.transaction_not_found")));
        Assert.That((await _books.AsOperatorAsync(HttpMethod.Post, "/v1/billing/reversals", new { })).Fields, Is.EquivalentTo(["transaction_id", "reason"]));
    }
}
