using System.Net;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Contract;

/// <summary>A key with scope finance reads all that is money, and nothing else: every operation of the document is asked with one.</summary>
internal sealed class FinanceWalkTests
{
    private static readonly string[] Allowed =
    [
        "getBalance", "listTransactions", "listEntries", "listHolds", "verifyLedger", "listGrants", "getRates", "getStatement", "exportEntries", "getBudgets", "getAlerts", "quoteConversation",
        "getCallCost", "getUsage", "listEvents",
    ];

    private TestHost _host = null!;
    private Resources _resources = null!;
    private TestTenant _finance = null!;

    [SetUp]
    public async Task SetUpAsync()
    {
        _host = await TestHost.SharedAsync(("RATE_LIMIT_PER_KEY", "off"));
        var owner = await _host.SignUpAsync();
        var funded = await _host.SendAsync(HttpMethod.Post, "/v1/billing/topups", TestHost.AdminKey, new { tenant_id = owner.TenantId, amount = 100_000_000, external_reference = "walk" });
        Assert.That(funded.Status, Is.EqualTo(HttpStatusCode.Created));
        _resources = await Resources.MakeAsync(owner);
        _finance = owner.WithKey((await owner.PostAsync("/v1/keys", new { name = "books", scopes = new[] { "finance" } })).Get<string>("key"));
    }

    [TearDown]
    public async Task TearDownAsync() => await _host.DisposeAsync();

    [Test]
    public async Task Only_what_is_money_answers()
    {
        var answered = new List<string>();
        foreach (var operation in (await ApiDocument.OfAsync(_host, "v1")).Operations.Where(o => o.Scope is not null))
        {
            var answer = await _host.SendAsync(new HttpMethod(operation.Method), _resources.PathOf(operation), _finance.Key, _resources.Real(operation.Example)?.ToJsonString());
            if (answer.Status is not HttpStatusCode.Forbidden)
            {
                Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.OK), $"{operation}: {answer.Body?.ToJsonString()}");
                answered.Add(operation.Id);
            }
            else
            {
                Assert.That(answer.Code, Is.EqualTo("auth.scope_missing"), operation.ToString());
            }
        }

        Assert.That(answered, Is.EquivalentTo(Allowed));
    }

    [Test]
    public async Task Of_events_only_those_of_money_are_told()
    {
        await _host.SendAsync(HttpMethod.Put, "/v1/billing/alerts", _resources.Owner.Key, new { low_balance = 1_000_000_000_000 }, ("If-Match", "*"));
        Assert.That(
            async () => (await _finance.GetAsync("/v1/events?limit=100")).Body!["data"]!.AsArray().Select(e => e!["type"]!.GetValue<string>()),
            Is.EqualTo(new[] { "balance.low" }).After(10_000, 50));
        Assert.That((await _resources.Owner.GetAsync("/v1/events?limit=100")).Body!["data"]!.AsArray(), Has.Count.GreaterThan(1));
        foreach (var filter in new[] { "type=call.queued", "type=call.*", $"subject_id={_resources.Ids[Resources.Call]}" })
        {
            Assert.That((await _resources.Owner.GetAsync($"/v1/events?{filter}")).Body!["data"]!.AsArray(), Is.Not.Empty);
            Assert.That((await _finance.GetAsync($"/v1/events?{filter}")).Body!["data"]!.AsArray(), Is.Empty);
        }

        var both = (await _resources.Owner.PostAsync("/v1/keys", new { name = "both", scopes = new[] { "finance", "read" } })).Get<string>("key");
        Assert.That((await _finance.WithKey(both).GetAsync("/v1/events?type=call.*")).Body!["data"]!.AsArray(), Is.Not.Empty);
    }
}
