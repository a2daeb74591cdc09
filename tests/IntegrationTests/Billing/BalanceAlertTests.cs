using System.Net;
using System.Text.Json.Nodes;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Billing;

/// <summary>Credits that run low are told of, once.</summary>
internal sealed class BalanceAlertTests
{
    private Books _books = null!;

    [SetUp]
    public async Task SetUpAsync() => _books = await Books.OpenSharedAsync();

    [TearDown]
    public async Task TearDownAsync() => await _books.DisposeAsync();

    [Test]
    public async Task Falling_below_the_threshold_is_told_once_until_it_was_above_again()
    {
        Assert.That(await ToldAsync(), Is.EqualTo((0L, 0L)), "It opened with nothing.");
        var six = await _books.TopUpAsync(6_000_000);
        Assert.That(await ToldAsync(), Is.EqualTo((0L, 0L)), "It was never above.");
        await _books.TopUpAsync(4_005_000);

        await _books.ChatAsync(messages: 1);
        Assert.That(await ToldAsync(), Is.EqualTo((1L, 0L)));
        await _books.ChatAsync(messages: 1);
        await _books.ReverseAsync(six);
        Assert.That(await ToldAsync(), Is.EqualTo((1L, 0L)), "Once.");

        var again = await _books.TopUpAsync(6_015_000);
        Assert.That(await ToldAsync(), Is.EqualTo((1L, 0L)));
        await _books.ChatAsync(messages: 1);
        Assert.That(await ToldAsync(), Is.EqualTo((2L, 0L)), "It had been above.");
        await _books.ReverseAsync(again);
        Assert.That(await ToldAsync(), Is.EqualTo((2L, 0L)));

        var told = (await EventsAsync("balance.low", 2))[^1];
        Assert.That(told["subject_id"]!.GetValue<string>(), Is.EqualTo(_books.Tenant.TenantId));
        var data = told["data"]!;
        Assert.That(
            (data["balance"]!.GetValue<long>(), data["threshold"]!.GetValue<long>(), data["credit_limit"]!.GetValue<long>(), data["unit"]!.GetValue<string>()),
            Is.EqualTo((9_990_000L, 10_000_000L, 0L, "micro_credit")));
        await _books.AssertSoundAsync();
    }

    [Test]
    public async Task Having_nothing_left_is_told_too_and_both_where_one_posting_does_both()
    {
        await SetAsync(new { low_balance = 5_000_000 });
        var small = await _books.TopUpAsync(1_000_000);
        await _books.ReverseAsync(small);
        Assert.That(await ToldAsync(), Is.EqualTo((0L, 1L)));
        var large = await _books.TopUpAsync(8_000_000);
        await _books.ReverseAsync(large);
        Assert.That(await ToldAsync(), Is.EqualTo((1L, 2L)));
        Assert.That((await EventsAsync("balance.exhausted", 2))[0]["data"]!["balance"]!.GetValue<long>(), Is.Zero);
    }

    [Test]
    public async Task It_is_told_once_also_when_the_word_of_it_is_delivered_twice()
    {
        await _books.ReverseAsync(await _books.TopUpAsync(11_000_000));
        Assert.That(await ToldAsync(), Is.EqualTo((1L, 1L)));
        const string Word = "name = 'billing.balance_fell.v1' AND payload->>'tenant_id' = $1";
        Assert.That(async () => await UndeliveredAsync(), Is.Zero.After(10_000, 20));
        await _books.Host.SqlAsync($"UPDATE platform.outbox SET processed_at = NULL, next_attempt_at = now() WHERE {Word}", _books.Tenant.TenantId);
        Assert.That(async () => await UndeliveredAsync(), Is.Zero.After(10_000, 20));
        Assert.That(await ToldAsync(), Is.EqualTo((1L, 1L)));
        Assert.That(await _books.Host.SqlAsync($"SELECT max(attempts) FROM platform.outbox WHERE {Word}", _books.Tenant.TenantId), Is.EqualTo(2));

        Task<object?> UndeliveredAsync() => _books.Host.SqlAsync($"SELECT count(*) FROM platform.outbox WHERE processed_at IS NULL AND {Word}", _books.Tenant.TenantId);
    }

    [Test]
    public async Task Many_charges_at_the_same_moment_tell_it_once()
    {
        await SetAsync(new { low_balance = 5_000_000 });
        await _books.TopUpAsync(5_095_000);
        var assistant = await _books.Tenant.CreateAssistantAsync();
        var sessions = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => _books.Tenant.StartTextSessionAsync(assistant)));
        await Task.WhenAll(sessions.Select(s => _books.SayAsync(s, 2)));
        await Task.WhenAll(sessions.Select(_books.EndAsync));
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((4_895_000L, 0L)));
        Assert.That(await ToldAsync(), Is.EqualTo((1L, 0L)));
        Assert.That((await EventsAsync("balance.low", 1)).Single()["data"]!["balance"]!.GetValue<long>(), Is.EqualTo(4_995_000), "By the one that crossed it.");
        await _books.AssertSoundAsync();
    }

    [Test]
    public async Task A_credit_limit_counts_as_what_is_there()
    {
        await LimitAsync(20_000_000);
        var topUp = await _books.TopUpAsync(5_000_000);
        await _books.ReverseAsync(topUp);
        Assert.That(await ToldAsync(), Is.EqualTo((0L, 0L)), "Twenty credits may still be spent.");
        await LimitAsync(9_000_000);
        Assert.That(await ToldAsync(), Is.EqualTo((1L, 0L)), "A limit that is lowered can be what makes it low.");
        await LimitAsync(0);
        Assert.That(await ToldAsync(), Is.EqualTo((1L, 1L)));
        await LimitAsync(0);
        Assert.That(await ToldAsync(), Is.EqualTo((1L, 1L)));
    }

    [Test]
    public async Task A_threshold_above_what_is_there_tells_so_at_once()
    {
        var mine = await SetAsync(new { low_balance = 50_000_000 });
        Assert.That((mine.Get<long>("low_balance"), mine.Get<long>("threshold"), mine.Body!["email"]), Is.EqualTo((50_000_000L, 50_000_000L, (JsonNode?)null)));
        Assert.That(await ToldAsync(), Is.EqualTo((0L, 0L)), "It never had anything.");
        await _books.TopUpAsync(20_000_000);
        await SetAsync(new { low_balance = 15_000_000 });
        Assert.That(await ToldAsync(), Is.EqualTo((0L, 0L)));
        await SetAsync(new { low_balance = 30_000_000 });
        await SetAsync(new { low_balance = 40_000_000 });
        Assert.That(await ToldAsync(), Is.EqualTo((1L, 0L)), "It was below already.");

        var back = await SetAsync(new { });
        Assert.That((back.Body!["low_balance"], back.Get<long>("threshold")), Is.EqualTo(((JsonNode?)null, 10_000_000L)), "The installation's again.");
        Assert.That((await _books.Tenant.GetAsync("/v1/audit?action=billing.alerts_set")).Body!["data"]!.AsArray(), Has.Count.EqualTo(5));
    }

    [Test]
    public async Task Credits_that_expire_can_make_it_low()
    {
        var grant = (await _books.AsOperatorAsync(HttpMethod.Post, "/v1/billing/topups", new
        {
            tenant_id = _books.Tenant.TenantId, amount = 12_000_000, external_reference = "p", kind = "promotional", expires_at = TimeProvider.System.GetUtcNow().AddDays(1),
        })).Get<string>("transaction_id");
        await _books.TopUpAsync(3_000_000);
        await _books.Host.SqlAsync("UPDATE billing.grants SET expires_at = now() - interval '1 second' WHERE transaction_id = $1", grant);
        await _books.Host.RunJobAsync("billing.expire-grants");
        Assert.That(await ToldAsync(), Is.EqualTo((1L, 0L)));
    }

    [Test]
    public async Task It_is_told_by_mail_to_whom_the_tenant_named()
    {
        await using var smtp = new FakeSmtp();
        await using var host = await TestHost.StartAsync([.. smtp.Settings, ("BILLING_SIGNUP_CREDITS", "20"), ("BILLING_LOW_BALANCE", "15")]);
        var tenant = await host.SignUpAsync("Ada");
        Assert.That((await smtp.NextAsync()).Text, Does.Contain("API key"));
        var signup = (await tenant.GetAsync("/v1/billing/transactions?kind=promotional")).Body!["data"]![0]!["id"]!.GetValue<string>();
        await host.SendAsync(HttpMethod.Post, "/v1/billing/topups", TestHost.AdminKey, new { tenant_id = tenant.TenantId, amount = 2_500_000, external_reference = "a" });

        await ReverseAsync(signup);
        var low = await smtp.NextAsync();
        Assert.That(low.To, Is.EqualTo("test@example.com"), "Nobody is named: the owner.");
        Assert.That(low.Text, Does.Contain("2.500000 credits").And.Contain("less than the 15.000000"));

        await host.SendAsync(HttpMethod.Put, "/v1/billing/alerts", tenant.Key, new { email = "finance@example.com" });
        await ReverseAsync((await tenant.GetAsync("/v1/billing/transactions?kind=topup")).Body!["data"]![0]!["id"]!.GetValue<string>());
        var exhausted = await smtp.NextAsync();
        Assert.That(exhausted.To, Is.EqualTo("finance@example.com"));
        Assert.That(exhausted.Text, Does.Contain("0.000000 credits").And.Contain("refused until there are credits again"));
        Assert.That(async () => await host.SqlAsync("SELECT count(*) FROM tenant.mails"), Is.Zero.After(20_000, 20), "No other mail waits.");

        Task ReverseAsync(string id) => host.SendAsync(HttpMethod.Post, "/v1/billing/reversals", TestHost.AdminKey, new { transaction_id = id, reason = "test" });
    }

    [Test]
    public async Task A_webhook_gets_it()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        Assert.That((await _books.Tenant.PostAsync("/v1/webhooks", new { url = receiver.Url, event_types = new[] { "balance.*" } })).Status, Is.EqualTo(HttpStatusCode.Created));
        await _books.ReverseAsync(await _books.TopUpAsync(11_000_000));
        Assert.That((await receiver.NextAsync()).Json["type"]!.GetValue<string>(), Is.EqualTo("balance.low"));
        Assert.That((await receiver.NextAsync()).Json["type"]!.GetValue<string>(), Is.EqualTo("balance.exhausted"));
    }

    [TestCase("""{"low_balance": -1}""", "low_balance", 422)]
    [TestCase("""{"low_balance": 1000000000000001}""", "low_balance", 422)]
    [TestCase("""{"low_balance": 1.5}""", "low_balance", 422)]
    [TestCase("""{"low_balance": "5"}""", "low_balance", 422)]
    [TestCase("""{"email": "nobody"}""", "email", 422)]
    [TestCase("""{"low_balance": 5, "currency": "EUR"}""", "currency", 422)]
    public async Task An_alert_that_cannot_be_is_refused_by_field(string body, string field, int status)
    {
        var refused = await SetAsync(body);
        Assert.That(((int)refused.Status, refused.Fields.Single()), Is.EqualTo((status, field)), refused.Body?.ToJsonString());
    }

    [Test]
    public async Task Nobody_overwrites_alerts_that_he_has_not_seen()
    {
        var tag = (await _books.Tenant.GetAsync("/v1/billing/alerts")).Headers["ETag"];
        Assert.That((await SetAsync(new { low_balance = 1 }, ("If-Match", tag))).Status, Is.EqualTo(HttpStatusCode.OK));
        Assert.That((await SetAsync(new { low_balance = 2 }, ("If-Match", tag))).Status, Is.EqualTo(HttpStatusCode.PreconditionFailed));
        var read = await _books.Tenant.GetAsync("/v1/billing/alerts");
        Assert.That(read.Get<long>("low_balance"), Is.EqualTo(1));
        Assert.That((await SetAsync(new { low_balance = 3 }, ("If-Match", read.Headers["ETag"]))).Status, Is.EqualTo(HttpStatusCode.OK));
    }

    private Task<Answer> SetAsync(object body, params (string, string)[] headers) => _books.Host.SendAsync(HttpMethod.Put, "/v1/billing/alerts", _books.Tenant.Key, body, headers);

    private async Task LimitAsync(long limit) => Assert.That(
        (await _books.AsOperatorAsync(HttpMethod.Put, "/v1/billing/credit-limit", new { tenant_id = _books.Tenant.TenantId, credit_limit = limit })).Status, Is.EqualTo(HttpStatusCode.OK));

    /// <summary>How often it was told, when nothing is left to tell.</summary>
    private async Task<(long Low, long Exhausted)> ToldAsync()
    {
        Assert.That(async () => await _books.Host.SqlAsync("SELECT count(*) FROM billing.falls WHERE tenant_id = $1", _books.Tenant.TenantId), Is.Zero.After(10_000, 20));
        return (await CountAsync("balance.low"), await CountAsync("balance.exhausted"));
    }

    private async Task<long> CountAsync(string type) =>
        (long)(await _books.Host.SqlAsync("SELECT count(*) FROM tenant.events WHERE tenant_id = $1 AND type = $2", _books.Tenant.TenantId, type))!;

    private async Task<List<JsonNode>> EventsAsync(string type, int count)
    {
        List<JsonNode> events = [];
        Assert.That(
            async () => (events = [.. (await _books.Tenant.GetAsync($"/v1/events?type={type}")).Body!["data"]!.AsArray().Select(e => e!)]).Count,
            Is.EqualTo(count).After(10_000, 50));
        return events;
    }
}
