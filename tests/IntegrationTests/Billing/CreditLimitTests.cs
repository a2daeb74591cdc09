using System.Net;

namespace VoicePlatform.IntegrationTests.Billing;

/// <summary>Tenants that pay afterwards.</summary>
internal sealed class CreditLimitTests
{
    /// <summary>What a conversation in text begins with.</summary>
    private const long Hold = 54_320;

    private Books _books = null!;

    [SetUp]
    public async Task SetUpAsync() => _books = await Books.OpenSharedAsync();

    [TearDown]
    public async Task TearDownAsync() => await _books.DisposeAsync();

    [Test]
    public async Task Credits_may_be_used_down_to_the_limit_and_no_further()
    {
        var assistant = await _books.Tenant.CreateAssistantAsync();
        Assert.That((await StartAsync(assistant)).Code, Is.EqualTo("billing.insufficient_credits"));
        var before = TimeProvider.System.GetUtcNow();

        var set = await SetAsync(100_000);
        Assert.That((set.Status, set.Get<long>("credit_limit"), set.Get<long>("available"), set.Get<long>("spendable")), Is.EqualTo((HttpStatusCode.OK, 100_000L, 0L, 100_000L)));
        var session = (await StartAsync(assistant)).Get<string>("id");
        Assert.That(await SpendableAsync(), Is.EqualTo((-Hold, 100_000L, 100_000 - Hold)));
        Assert.That((await StartAsync(assistant)).Code, Is.EqualTo("billing.insufficient_credits"));

        Assert.That((await SetAsync(0)).Get<long>("spendable"), Is.Zero, "It may be lowered below what is used.");
        Assert.That(await SpendableAsync(), Is.EqualTo((-Hold, 0L, 0L)));
        await _books.SayAsync(session, 1);
        await _books.EndAsync(session);
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((-10_000L, 0L)), "What runs is paid for.");

        await SetAsync(10_000 + Hold - 1);
        Assert.That((await StartAsync(assistant)).Code, Is.EqualTo("billing.insufficient_credits"));
        await SetAsync(10_000 + Hold);
        Assert.That((await StartAsync(assistant)).Status, Is.EqualTo(HttpStatusCode.Created));

        var past = (await _books.Tenant.GetAsync($"/v1/billing/balance?at={before.UtcDateTime:o}")).Body!.AsObject();
        Assert.That(past.Select(p => p.Key), Is.EqualTo(new[] { "posted", "held", "available", "unit", "as_of" }), "The limit has no past.");
        var audit = (await _books.Tenant.GetAsync("/v1/audit?action=billing.credit_limit_set")).Body!["data"]!.AsArray();
        Assert.That(audit, Has.Count.EqualTo(4));
        Assert.That((audit[0]!["detail"]!["credit_limit"]!.GetValue<long>(), audit[0]!["detail"]!["before"]!.GetValue<long>()), Is.EqualTo((10_000 + Hold, 10_000 + Hold - 1)));
        await _books.AssertSoundAsync();
    }

    [Test]
    public async Task Thirty_at_once_start_as_many_as_the_limit_lets()
    {
        var assistant = await _books.Tenant.CreateAssistantAsync();
        await SetAsync((5 * Hold) + 1);
        var answers = await Task.WhenAll(Enumerable.Range(0, 30).Select(_ => StartAsync(assistant)));
        Assert.That(answers.Count(a => a.Status is HttpStatusCode.Created), Is.EqualTo(5));
        Assert.That(answers.Where(a => a.Status is not HttpStatusCode.Created).Select(a => a.Code), Is.All.EqualTo("billing.insufficient_credits"));
        Assert.That(await SpendableAsync(), Is.EqualTo((-5 * Hold, (5 * Hold) + 1, 1L)));
        await _books.AssertSoundAsync();
    }

    [TestCase("-1", 422)]
    [TestCase("1000000000000001", 422)]
    [TestCase("null", 422)]
    [TestCase("1.5", 422)]
    [TestCase("\"100\"", 422)]
    [TestCase("99999999999999999999", 422)]
    public async Task A_limit_that_cannot_be_is_refused_by_field(string limit, int status)
    {
        var refused = await _books.AsOperatorAsync(HttpMethod.Put, "/v1/billing/credit-limit", $$"""{"tenant_id": "{{_books.Tenant.TenantId}}", "credit_limit": {{limit}}}""");
        Assert.That(((int)refused.Status, refused.Fields.Single()), Is.EqualTo((status, "credit_limit")));
    }

    [Test]
    public async Task Only_the_operator_sets_it_and_only_for_a_tenant()
    {
        Assert.That((await _books.Host.SendAsync(HttpMethod.Put, "/v1/billing/credit-limit", _books.Tenant.Key, new { tenant_id = _books.Tenant.TenantId, credit_limit = 5 })).Status, Is.EqualTo(HttpStatusCode.Forbidden));
        Assert.That((await _books.AsOperatorAsync(HttpMethod.Put, "/v1/billing/credit-limit", new { credit_limit = 5 })).Fields, Is.EqualTo(new[] { "tenant_id" }));
        var unknown = await _books.AsOperatorAsync(HttpMethod.Put, "/v1/billing/credit-limit", new { tenant_id = "ten00000000000000000000000000", credit_limit = 5 });
        Assert.That((unknown.Status, unknown.Fields.Single()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, "tenant_id")));
        Assert.That((await _books.AsOperatorAsync(HttpMethod.Put, "/v1/billing/credit-limit", new { tenant_id = _books.Tenant.TenantId, credit_limit = 5, currency = "EUR" })).Fields, Is.EqualTo(new[] { "currency" }));
    }

    private Task<Support.Answer> SetAsync(long limit) => _books.AsOperatorAsync(HttpMethod.Put, "/v1/billing/credit-limit", new { tenant_id = _books.Tenant.TenantId, credit_limit = limit });

    private Task<Support.Answer> StartAsync(string assistant) => _books.Tenant.PostAsync("/v1/sessions", new { assistant_id = assistant, text_only = true });

    private async Task<(long Available, long CreditLimit, long Spendable)> SpendableAsync()
    {
        var balance = await _books.Tenant.GetAsync("/v1/billing/balance");
        return (balance.Get<long>("available"), balance.Get<long>("credit_limit"), balance.Get<long>("spendable"));
    }
}
