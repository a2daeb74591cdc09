using System.Net;
using System.Text.Json.Nodes;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Billing;

/// <summary>Credits that were given, are used first, and may expire.</summary>
internal sealed class GrantTests
{
    private const long Hold = 54_320;
    private const string Job = "billing.expire-grants";

    private Books _books = null!;
    private int _references;

    [SetUp]
    public async Task SetUpAsync() => _books = await Books.OpenSharedAsync();

    [TearDown]
    public async Task TearDownAsync() => await _books.DisposeAsync();

    [Test]
    public async Task Charges_draw_from_what_expires_soonest_and_from_bought_credits_last()
    {
        await _books.TopUpAsync(1_000_000);
        var never = await GrantAsync(15_000, null);
        var late = await GrantAsync(20_000, TimeSpan.FromDays(9));
        var soon = await GrantAsync(25_000, TimeSpan.FromDays(2));

        await _books.ChatAsync(messages: 2);
        Assert.That(await RemainingAsync(never, late, soon), Is.EqualTo(new[] { 15_000L, 20_000, 5_000 }));
        await _books.ChatAsync(messages: 1);
        Assert.That(await RemainingAsync(never, late, soon), Is.EqualTo(new[] { 15_000L, 15_000, 0 }));
        await _books.ChatAsync(messages: 4);
        Assert.That(await RemainingAsync(never, late, soon), Is.All.Zero);
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((990_000L, 0L)));

        var grants = await GrantsAsync();
        Assert.That(grants.Select(g => g["transaction_id"]!.GetValue<string>()), Is.EqualTo(new[] { soon, late, never }), "Newest first.");
        Assert.That(grants.Select(g => g["ended_at"]), Has.None.Null);
        Assert.That((await _books.Tenant.GetAsync("/v1/billing/grants?status=active")).Body!["data"]!.AsArray(), Is.Empty);
        var page = await _books.Tenant.GetAsync("/v1/billing/grants?limit=2");
        Assert.That((page.Get<bool>("has_more"), page.Get<string>("next_cursor")), Is.EqualTo((true, late)));
        Assert.That((await _books.Tenant.GetAsync($"/v1/billing/grants?starting_after={late}")).Body!["data"]!.AsArray(), Has.Count.EqualTo(1));
        Assert.That((await (await _books.Host.SignUpAsync("Others")).GetAsync("/v1/billing/grants")).Body!["data"]!.AsArray(), Is.Empty);
        await _books.AssertSoundAsync();
    }

    [Test]
    public async Task What_is_not_used_in_time_is_taken_back_once_and_told()
    {
        await _books.TopUpAsync(1_000_000);
        var grant = await GrantAsync(50_000, TimeSpan.FromDays(2));
        await _books.ChatAsync(messages: 1);
        await _books.Host.RunJobAsync(Job);
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((1_040_000L, 0L)), "Not yet.");

        await ExpireAsync(grant);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => _books.Host.RunJobAsync(Job)));
        await _books.Host.RunJobAsync(Job);
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((1_000_000L, 0L)));

        var found = (await GrantsAsync()).Single();
        Assert.That((Of(found, "amount"), Of(found, "remaining"), Of(found, "expired"), found["ended_at"] is not null), Is.EqualTo((50_000L, 0L, 40_000L, true)));
        var expiries = (await _books.Tenant.GetAsync("/v1/billing/transactions?kind=expiry")).Body!["data"]!.AsArray();
        var expiry = expiries.Single()!;
        Assert.That(expiry["metadata"]!["grant"]!.GetValue<string>(), Is.EqualTo(grant));
        Assert.That(expiry["entries"]!.AsArray().Select(e => (e!["account"]!.GetValue<string>(), Of(e, "amount"))), Is.EqualTo(new[] { ("available", -40_000L), ("platform:promotional", 40_000L) }));

        var told = (await EventsAsync("balance.credits_expired", 1)).Single()["data"]!;
        Assert.That((Of(told, "amount"), told["granted_by"]!.GetValue<string>(), told["transaction_id"]!.GetValue<string>(), Of(told, "balance")), Is.EqualTo((40_000L, grant, expiry["id"]!.GetValue<string>(), 1_000_000L)));

        var statement = await _books.Tenant.GetAsync($"/v1/billing/statements/{TimeProvider.System.GetUtcNow():yyyy-MM}");
        var movements = statement.Body!["movements"]!.AsArray();
        Assert.That(Of(movements.Single(m => m!["kind"]!.GetValue<string>() == "expiry")!, "amount"), Is.EqualTo(-40_000));
        Assert.That(movements.Sum(m => Of(m!, "amount")), Is.EqualTo(statement.Body["closing"]!["posted"]!.GetValue<long>()));
        var rows = (await _books.TextAsync("/v1/billing/export.csv")).Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.That(rows.Count(r => r.Contains("expiry", StringComparison.Ordinal)), Is.EqualTo(1));
        await _books.AssertSoundAsync();
        Assert.That(await _books.Tenant.DifferencesAsync(), Is.Empty);
    }

    [Test]
    public async Task What_runs_may_still_use_what_it_holds_and_the_rest_goes_when_it_is_over()
    {
        _books = await Books.OpenAsync();     // Where the job runs when this test says so.
        var grant = await GrantAsync(100_000, TimeSpan.FromDays(2));
        var session = await _books.Tenant.StartTextSessionAsync(await _books.Tenant.CreateAssistantAsync());
        await ExpireAsync(grant);

        await _books.Host.RunJobAsync(Job);
        await _books.Host.RunJobAsync(Job);
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((0L, Hold)));
        Assert.That(await StateAsync(), Is.EqualTo((Hold, 100_000 - Hold, false)), "The rest is held, and waits.");

        await _books.SayAsync(session, 1);
        await _books.EndAsync(session);
        Assert.That(await StateAsync(), Is.EqualTo((Hold - 10_000, 100_000 - Hold, false)));
        await _books.Host.RunJobAsync(Job);
        Assert.That(await StateAsync(), Is.EqualTo((0L, 90_000L, true)));
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((0L, 0L)));
        Assert.That((await EventsAsync("balance.credits_expired", 2)).Sum(e => Of(e["data"]!, "amount")), Is.EqualTo(90_000));
        await _books.AssertSoundAsync();

        async Task<(long Remaining, long Expired, bool HasEnded)> StateAsync()
        {
            var found = (await GrantsAsync()).Single();
            return (Of(found, "remaining"), Of(found, "expired"), found["ended_at"] is not null);
        }
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task What_is_held_is_left_of_the_grant_that_its_charge_will_draw_from(bool expiresFirst)
    {
        await _books.TopUpAsync(Hold);
        var grant = await GrantAsync(Hold, TimeSpan.FromDays(2));
        var session = await _books.Tenant.StartTextSessionAsync(await _books.Tenant.CreateAssistantAsync());
        await ExpireAsync(grant);
        if (expiresFirst)
        {
            await _books.Host.RunJobAsync(Job);
            Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((Hold, Hold)), "The conversation may use all of it.");
        }

        await _books.SayAsync(session, 3);
        await _books.EndAsync(session);
        await _books.Host.RunJobAsync(Job);

        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((Hold, 0L)), "What was bought is all there.");
        var found = (await GrantsAsync()).Single();
        Assert.That((Of(found, "remaining"), Of(found, "expired")), Is.EqualTo((0L, Hold - 30_000)));
        await _books.AssertSoundAsync();
    }

    [Test]
    public async Task Holds_keep_the_grants_that_are_drawn_first_and_the_others_expire()
    {
        _books = await Books.OpenAsync();     // Where the job runs when this test says so.
        await _books.TopUpAsync(1_000_000);
        var (first, second, third) = (await GrantAsync(50_000, TimeSpan.FromDays(1)), await GrantAsync(10_000, TimeSpan.FromDays(2)), await GrantAsync(20_000, TimeSpan.FromDays(3)));
        var session = await _books.Tenant.StartTextSessionAsync(await _books.Tenant.CreateAssistantAsync());
        await ExpireAsync(third, 1);
        await ExpireAsync(second, 2);
        await ExpireAsync(first, 3);

        await _books.Host.RunJobAsync(Job);
        Assert.That(await RemainingAsync(first, second, third), Is.EqualTo(new[] { 50_000L, Hold - 50_000, 0 }));
        await _books.SayAsync(session, 1);
        await _books.EndAsync(session);
        Assert.That(await RemainingAsync(first, second, third), Is.EqualTo(new[] { 40_000L, Hold - 50_000, 0 }));
        await _books.Host.RunJobAsync(Job);

        Assert.That(await RemainingAsync(first, second, third), Is.All.Zero);
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((1_000_000L, 0L)));
        await _books.AssertSoundAsync();
    }

    [Test]
    public async Task Bought_credits_stay_when_grants_expire_while_conversations_come_and_go()
    {
        await _books.TopUpAsync(10_000_000);
        var given = 0L;
        for (var i = 0; i < 6; i++)
        {
            await ExpireAsync(await GrantAsync(30_000, TimeSpan.FromDays(1)));
            given += 30_000;
        }

        await Task.WhenAll(
            Task.WhenAll(Enumerable.Range(0, 6).Select(_ => _books.ChatAsync(messages: 2))),
            Task.WhenAll(Enumerable.Range(0, 12).Select(_ => _books.Host.RunJobAsync(Job))));
        await _books.Host.RunJobAsync(Job);

        var grants = await GrantsAsync();
        Assert.That(grants.Select(g => Of(g, "remaining")), Is.All.Zero);
        var expired = grants.Sum(g => Of(g, "expired"));
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((10_000_000 + given - expired - 120_000, 0L)));
        Assert.That(given - expired, Is.InRange(0, 120_000), "What did not expire was used.");
        await _books.AssertSoundAsync();
    }

    [Test]
    public async Task Reversing_a_grant_ends_it_and_what_has_expired_is_not_taken_back_twice()
    {
        await _books.TopUpAsync(1_000_000);
        var reversed = await GrantAsync(30_000, TimeSpan.FromDays(2));
        Assert.That((await _books.ReverseAsync(reversed)).Get<long>("amount"), Is.EqualTo(-30_000));
        await ExpireAsync(reversed);
        await _books.Host.RunJobAsync(Job);
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((1_000_000L, 0L)));
        Assert.That(Of((await GrantsAsync()).Single(), "remaining"), Is.Zero);

        var expired = await GrantAsync(30_000, TimeSpan.FromDays(2));
        await ExpireAsync(expired);
        await _books.Host.RunJobAsync(Job);
        var refused = await _books.ReverseAsync(expired);
        Assert.That((refused.Status, refused.Code), Is.EqualTo((HttpStatusCode.Conflict, "billing.expired_already")));
        Assert.That((await _books.ReverseAsync((await _books.TransactionAsync("expiry"))["id"]!.GetValue<string>())).Code, Is.EqualTo("billing.not_reversible"));
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((1_000_000L, 0L)));
        await _books.AssertSoundAsync();
    }

    [Test]
    public async Task A_reference_books_its_credits_once_and_stands_for_no_others()
    {
        var body = new { tenant_id = _books.Tenant.TenantId, amount = 5_000L, external_reference = "spring", kind = "promotional", expires_at = TimeProvider.System.GetUtcNow().AddDays(1) };
        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => _books.AsOperatorAsync(HttpMethod.Post, "/v1/billing/topups", body)));
        Assert.That(answers.Select(a => a.Status), Is.All.EqualTo(HttpStatusCode.Created));
        Assert.That(answers.Count(a => !a.Get<bool>("replayed")), Is.EqualTo(1));
        Assert.That(answers.Select(a => (a.Get<string>("kind"), a.Get<string>("transaction_id"))).Distinct().Single().Item1, Is.EqualTo("promotional"));
        Assert.That(await GrantsAsync(), Has.Count.EqualTo(1));

        var never = new { body.tenant_id, body.amount, body.external_reference, body.kind };
        foreach (var other in new object[] { new { body.tenant_id, body.amount, body.external_reference }, body with { amount = 5_001L }, body with { expires_at = body.expires_at.AddDays(1) }, never })
        {
            var refused = await _books.AsOperatorAsync(HttpMethod.Post, "/v1/billing/topups", other);
            Assert.That((refused.Status, refused.Code), Is.EqualTo((HttpStatusCode.Conflict, "billing.reference_used")));
        }

        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((5_000L, 0L)));
        Assert.That(answers.Select(a => a.Get<DateTimeOffset>("expires_at")), Is.All.EqualTo((await GrantsAsync()).Single()["expires_at"]!.GetValue<DateTimeOffset>()), "What is kept is told.");
    }

    [Test]
    public async Task A_reference_whose_credits_have_expired_is_known_and_books_nothing()
    {
        var expires = TimeProvider.System.GetUtcNow().AddSeconds(-30);
        var grant = await GrantAsync(5_000, TimeSpan.FromDays(1));
        await _books.Host.SqlAsync("UPDATE billing.grants SET expires_at = $2 WHERE transaction_id = $1", grant, expires);
        var again = await _books.AsOperatorAsync(HttpMethod.Post, "/v1/billing/topups", new
        {
            tenant_id = _books.Tenant.TenantId, amount = 5_000, external_reference = "promo-1", kind = "promotional", expires_at = expires,
        });
        Assert.That((again.Status, again.Get<bool>("replayed"), again.Get<string>("transaction_id")), Is.EqualTo((HttpStatusCode.Created, true, grant)));

        // The job may have come by meanwhile and taken it back.
        Assert.That((await _books.Tenant.GetAsync("/v1/billing/transactions?kind=promotional")).Body!["data"]!.AsArray(), Has.Count.EqualTo(1));
    }

    [Test]
    public async Task No_account_is_filled_beyond_what_sums_can_hold()
    {
        // As if a thousand billions had been bought, but for one credit.
        await _books.Host.SqlAsync(
            """
            SELECT (billing.post('txnfull', $1, 'topup', 'full', NULL, '{}',
              '[{"id": "entfull1", "account": "available", "amount": 999999999999000000}, {"id": "entfull2", "account": "platform:funding", "amount": -999999999999000000}]')).seq
            """, _books.Tenant.TenantId);
        foreach (var kind in new[] { "paid", "promotional" })
        {
            var refused = await _books.AsOperatorAsync(HttpMethod.Post, "/v1/billing/topups", new { tenant_id = _books.Tenant.TenantId, amount = 1_000_001, external_reference = kind, kind });
            Assert.That((refused.Status, refused.Fields.Single()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, "amount")), refused.Body?.ToJsonString());
        }

        await _books.TopUpAsync(1_000_000);
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((1_000_000_000_000_000_000L, 0L)));
        await _books.AssertSoundAsync();
    }

    [Test]
    public async Task Credits_of_a_new_tenant_are_a_grant_that_never_expires()
    {
        await using var host = await TestHost.StartAsync(("BILLING_SIGNUP_CREDITS", "3"));
        var grant = (await (await host.SignUpAsync()).GetAsync("/v1/billing/grants")).Body!["data"]!.AsArray().Single()!;
        Assert.That((Of(grant, "amount"), Of(grant, "remaining"), grant["expires_at"]), Is.EqualTo((3_000_000L, 3_000_000L, (JsonNode?)null)));
    }

    [TestCase("\"amount\": 0", "amount", 422)]
    [TestCase("\"amount\": -5", "amount", 422)]
    [TestCase("\"amount\": 1000000000000001", "amount", 422)]
    [TestCase("\"amount\": 1.5", "amount", 422)]
    [TestCase("\"amount\": \"5\"", "amount", 422)]
    [TestCase("\"amount\": null", "amount", 422)]
    [TestCase("\"amount\": 5, \"currency\": \"EUR\"", "currency", 422)]
    [TestCase("\"amount\": 5, \"kind\": \"gift\"", "kind", 422)]
    [TestCase("\"amount\": 5, \"kind\": \"promotional\", \"expires_at\": \"2026-01-01T00:00:00Z\"", "expires_at", 422)]
    [TestCase("\"amount\": 5, \"kind\": \"promotional\", \"expires_at\": \"2099-01-01T00:00:00Z\"", "expires_at", 422)]
    [TestCase("\"amount\": 5, \"kind\": \"promotional\", \"expires_at\": \"soon\"", "expires_at", 422)]
    [TestCase("\"amount\": 5, \"expires_at\": \"2030-01-01T00:00:00Z\"", "expires_at", 422)]
    [TestCase("\"amount\": 5, \"kind\": \"paid\", \"expires_at\": \"2030-01-01T00:00:00Z\"", "expires_at", 422)]
    [TestCase("\"amount\": 5, \"effective_at\": \"0001-01-01T00:00:00Z\"", "effective_at", 422)]
    [TestCase("\"amount\": 5, \"effective_at\": \"9999-12-31T23:59:59.9999999Z\"", "effective_at", 422)]
    [TestCase("\"amount\": 5, \"kind\": \"promotional\", \"expires_at\": \"9999-12-31T23:59:59.9999999Z\"", "expires_at", 422)]
    [TestCase("\"amount\": 5, \"kind\": \"promotional\", \"expires_at\": \"0001-01-01T00:00:00Z\"", "expires_at", 422)]
    [TestCase("\"amount\": 5, \"effective_at\": \"2099-01-01T00:00:00Z\"", "effective_at", 422)]
    [TestCase("\"amount\": 5, \"effective_at\": \"1969-12-31T23:59:59Z\"", "effective_at", 422)]
    [TestCase("\"amount\": 5, \"kind\": \"promotional\", \"effective_at\": \"2026-01-01T00:00:00Z\"", "effective_at", 422)]
    public async Task A_top_up_that_cannot_be_is_refused_by_field(string part, string field, int status)
    {
        var refused = await _books.AsOperatorAsync(HttpMethod.Post, "/v1/billing/topups", $$"""{"tenant_id": "{{_books.Tenant.TenantId}}", "external_reference": "x", {{part}}}""");
        Assert.That(((int)refused.Status, refused.Fields.Single()), Is.EqualTo((status, field)), refused.Body?.ToJsonString());
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((0L, 0L)));
    }

    [Test]
    public async Task A_reference_is_one_line()
    {
        var refused = await _books.AsOperatorAsync(HttpMethod.Post, "/v1/billing/topups", new { tenant_id = _books.Tenant.TenantId, amount = 5, external_reference = "invoice 1\n2" });
        Assert.That((refused.Status, refused.Fields.Single()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, "external_reference")));
    }

    private async Task<string> GrantAsync(long amount, TimeSpan? lasting)
    {
        var answer = await _books.AsOperatorAsync(HttpMethod.Post, "/v1/billing/topups", new
        {
            tenant_id = _books.Tenant.TenantId, amount, external_reference = $"promo-{++_references}", kind = "promotional", expires_at = TimeProvider.System.GetUtcNow() + lasting,
        });
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.Created), answer.Body?.ToJsonString());
        return answer.Get<string>("transaction_id");
    }

    /// <summary>As if its time were over.</summary>
    private Task<object?> ExpireAsync(string grant, int secondsAgo = 1) =>
        _books.Host.SqlAsync("UPDATE billing.grants SET expires_at = now() - make_interval(secs => $2) WHERE transaction_id = $1", grant, (double)secondsAgo);

    private async Task<List<JsonNode>> GrantsAsync() => [.. (await _books.Tenant.GetAsync("/v1/billing/grants")).Body!["data"]!.AsArray().Select(g => g!)];

    private async Task<IEnumerable<long>> RemainingAsync(params string[] grants)
    {
        var all = (await GrantsAsync()).ToDictionary(g => g["transaction_id"]!.GetValue<string>(), g => Of(g, "remaining"));
        return grants.Select(g => all[g]);
    }

    /// <summary>The tenant's events of a type, once they have their numbers; it is as many as expected, not more.</summary>
    private async Task<List<JsonNode>> EventsAsync(string type, int count)
    {
        Assert.That(await _books.Host.SqlAsync("SELECT count(*) FROM tenant.events WHERE tenant_id = $1 AND type = $2", _books.Tenant.TenantId, type), Is.EqualTo((long)count));
        List<JsonNode> events = [];
        Assert.That(
            async () => (events = [.. (await _books.Tenant.GetAsync($"/v1/events?type={type}")).Body!["data"]!.AsArray().Select(e => e!)]).Count,
            Is.EqualTo(count).After(10_000, 50));
        return events;
    }

    private static long Of(JsonNode node, string name) => node[name]!.GetValue<long>();
}
