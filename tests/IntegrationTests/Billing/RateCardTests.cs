using System.Net;
using System.Text.Json.Nodes;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Billing;

/// <summary>Prices in versions, and what a conversation will cost before it begins.</summary>
internal sealed class RateCardTests
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
    public async Task What_was_accepted_under_a_card_keeps_its_prices()
    {
        var session = await _books.Tenant.StartTextSessionAsync(await _books.Tenant.CreateAssistantAsync());
        var card = await CreateAsync(new { tenant_id = _books.Tenant.TenantId, rates = new[] { new { component = "message", unit = "message", rate = 70_000 } } });
        Assert.That(card.Status, Is.EqualTo(HttpStatusCode.Created), card.Body?.ToJsonString());
        var id = card.Get<string>("id");
        Assert.That(id, Is.EqualTo($"{_books.Tenant.TenantId}-1"));

        await _books.SayAsync(session, 2);
        await _books.EndAsync(session);
        var (before, beforeCard) = await MessagesAsync(session);
        var (after, afterCard) = await MessagesAsync(await _books.ChatAsync(messages: 2));

        Assert.That((before, beforeCard), Is.EqualTo((20_000L, "default-2")));
        Assert.That((after, afterCard), Is.EqualTo((140_000L, id)));

        var rates = await _books.Tenant.GetAsync("/v1/billing/rates");
        Assert.That(rates.Body!["in_force"]!["id"]!.GetValue<string>(), Is.EqualTo(id));
        Assert.That(RateOf(rates.Body["in_force"]!, "platform")["rate"]!.GetValue<long>(), Is.EqualTo(1_000_000), "What the card leaves out keeps its price.");
        var others = await (await _books.Host.SignUpAsync("Others")).GetAsync("/v1/billing/rates");
        Assert.That(others.Body!["in_force"]!["id"]!.GetValue<string>(), Is.EqualTo("default-2"));

        var audit = (await _books.Tenant.GetAsync("/v1/audit?action=billing.rate_card_created")).Body!["data"]!.AsArray();
        Assert.That(audit.Single()!["subject_id"]!.GetValue<string>(), Is.EqualTo(id));
    }

    [Test]
    public async Task A_card_that_is_announced_costs_nothing_yet()
    {
        var from = TimeProvider.System.GetUtcNow().AddDays(3);
        Assert.That((await CreateAsync(new { valid_from = from, rates = new[] { new { component = "message", unit = "message", rate = 1 } } })).Get<string>("id"), Is.EqualTo("default-3"));

        var rates = (await _books.Tenant.GetAsync("/v1/billing/rates")).Body!;
        Assert.That(rates["in_force"]!["id"]!.GetValue<string>(), Is.EqualTo("default-2"));
        Assert.That(rates["coming"]!.AsArray().Single()!["id"]!.GetValue<string>(), Is.EqualTo("default-3"));
        Assert.That(await MessagesAsync(await _books.ChatAsync(messages: 1)), Is.EqualTo((10_000L, "default-2")));
    }

    [Test]
    public async Task Cards_made_at_once_have_versions_of_their_own()
    {
        var made = await Task.WhenAll(Enumerable.Range(1, 6).Select(n => CreateAsync(new { rates = new[] { new { component = "message", unit = "message", rate = n } } })));
        Assert.That(made.Select(m => m.Get<int>("version")), Is.EquivalentTo(Enumerable.Range(3, 6)));
    }

    [TestCase("""{"rates": []}""", "rates")]
    [TestCase("""{"rates": [{"component": "message", "unit": "message", "rate": -1}]}""", "rates[0].rate")]
    [TestCase("""{"rates": [{"component": "message", "unit": "message", "rate": 1, "per": 0}]}""", "rates[0].per")]
    [TestCase("""{"rates": [{"component": "message", "unit": "message", "rate": 9000000000}]}""", "rates[0].rate")]
    [TestCase("""{"rates": [{"component": "mesage", "unit": "message", "rate": 1}]}""", "rates[0].component")]
    [TestCase("""{"rates": [{"component": "platform", "unit": "minute", "rate": 1}]}""", "rates[0].unit")]
    [TestCase("""{"rates": [{"component": "message", "unit": "message", "rate": 1}, {"component": "message", "unit": "message", "rate": 2}]}""", "rates")]
    [TestCase("""{"rates": [null]}""", "rates[0]")]
    [TestCase("""{"valid_from": "2026-01-01T00:00:00Z", "rates": [{"component": "message", "unit": "message", "rate": 1}]}""", "valid_from")]
    [TestCase("""{"valid_from": "9999-01-01T00:00:00Z", "rates": [{"component": "message", "unit": "message", "rate": 1}]}""", "valid_from")]
    [TestCase("""{"tenant_id": "ten00000000000000000000000000", "rates": [{"component": "message", "unit": "message", "rate": 1}]}""", "tenant_id")]
    public async Task A_card_that_cannot_be_is_refused_by_field(string body, string field)
    {
        var refused = await CreateAsync(body);
        Assert.That((refused.Status, refused.Fields.First()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, field)), refused.Body?.ToJsonString());
    }

    [TestCase("""{"currency": "EUR", "rates": [{"component": "message", "unit": "message", "rate": 1}]}""", "currency")]
    [TestCase("""{"rates": [{"component": "message", "unit": "message", "rate": 1.5}]}""", "rates[0].rate")]
    [TestCase("""{"rates": [{"component": "message", "unit": "message", "rate": "1"}]}""", "rates[0].rate")]
    [TestCase("""{"valid_from": "soon", "rates": [{"component": "message", "unit": "message", "rate": 1}]}""", "valid_from")]
    public async Task A_card_that_cannot_be_read_is_refused_by_field(string body, string field)
    {
        var refused = await CreateAsync(body);
        Assert.That((refused.Status, refused.Code, refused.Fields.Single()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, "request.invalid", field)));
    }

    [Test]
    public async Task A_quote_is_what_is_held_and_charged()
    {
        await CreateAsync(new { rates = new[] { new { component = "message", unit = "message", rate = 12_345, per = 7, increment = 2, minimum = 3 } } });
        var session = await _books.Tenant.StartTextSessionAsync(await _books.Tenant.CreateAssistantAsync());
        var held = (await _books.Tenant.GetAsync("/v1/billing/holds?status=active")).Body!["data"]![0]!["amount"]!.GetValue<long>();
        await _books.SayAsync(session, 4);
        await _books.EndAsync(session);
        var charged = Lines(await _books.TransactionAsync("charge", session));

        var quote = await QuoteAsync(new { kind = "text", messages = 4 });
        Assert.That(quote.Status, Is.EqualTo(HttpStatusCode.OK), quote.Body?.ToJsonString());
        var quoted = quote.Body!["lines"]!.AsArray().Select(l => Line(l!)).ToList();
        Assert.That(quoted, Is.EqualTo(charged));
        Assert.That(quoted.Single(), Does.StartWith("message 5 message 12345/7 default-3"), "Three, and a step of two.");
        Assert.That(quote.Get<long>("amount"), Is.EqualTo(quote.Body["lines"]!.AsArray().Sum(l => l!["amount"]!.GetValue<long>())));
        Assert.That(quote.Body["hold"]!["amount"]!.GetValue<long>(), Is.EqualTo(held));
    }

    [Test]
    public async Task A_call_is_quoted_by_direction_duration_and_recording()
    {
        await CreateAsync(new { rates = new[] { new { component = "telephony_outbound", unit = "second", rate = 400_000, per = 60, increment = 6, minimum = 60 } } });
        var call = await QuoteAsync(new { kind = "call", direction = "outbound", duration_s = 60.2, recorded = true, llm_output_tokens = 10 });
        Assert.That(call.Body!["lines"]!.AsArray().Select(l => Line(l!)), Is.EqualTo(new[]
        {
            "llm_output 10 token 1200000/1000000 default-3 12",
            "platform 61 second 1000000/60 default-3 1016667",
            "recording 61 second 100000/60 default-3 101667",
            "telephony_outbound 66 second 400000/60 default-3 440000",
        }));
        Assert.That(call.Get<string>("unit"), Is.EqualTo("micro_credit"));
        Assert.That(call.Body["hold"]!["amount"]!.GetValue<long>(), Is.GreaterThan(1_500_000));

        Assert.That((await QuoteAsync(new { kind = "session", duration_s = 1 })).Body!["lines"]!.AsArray().Select(l => l!["component"]!.GetValue<string>()), Is.EqualTo(new[] { "platform" }));
        Assert.That((await QuoteAsync(new { kind = "session", direction = "inbound" })).Fields, Is.EqualTo(new[] { "direction" }));
        Assert.That((await QuoteAsync(new { kind = "text", duration_s = 5 })).Fields, Is.EqualTo(new[] { "duration_s" }));
        Assert.That((await QuoteAsync(new { kind = "call", duration_s = -1 })).Fields, Is.EqualTo(new[] { "duration_s" }));
        Assert.That((await QuoteAsync(new { kind = "fax" })).Status, Is.EqualTo(HttpStatusCode.UnprocessableEntity));
        Assert.That((await QuoteAsync(new { duration_s = 5 })).Status, Is.EqualTo(HttpStatusCode.UnprocessableEntity));
    }

    [TestCase("finance", true)]
    [TestCase("operate", true)]
    [TestCase("read", false)]
    public async Task Finance_and_who_operates_may_ask_for_a_quote(string scope, bool may)
    {
        var key = (await _books.Tenant.PostAsync("/v1/keys", new { name = "k", scopes = new[] { scope } })).Get<string>("key");
        var answer = await _books.Tenant.WithKey(key).PostAsync("/v1/billing/quote", new { kind = "call", duration_s = 60 });
        Assert.That(answer.Status, Is.EqualTo(may ? HttpStatusCode.OK : HttpStatusCode.Forbidden));
        Assert.That((await _books.Tenant.PostAsync("/v1/billing/rate-cards", new { })).Status, Is.EqualTo(HttpStatusCode.Forbidden));
    }

    private Task<Answer> CreateAsync(object body) => _books.AsOperatorAsync(HttpMethod.Post, "/v1/billing/rate-cards", body);

    private Task<Answer> QuoteAsync(object body) => _books.Tenant.PostAsync("/v1/billing/quote", body);

    private async Task<(long Amount, string Card)> MessagesAsync(string session)
    {
        var line = (await _books.TransactionAsync("charge", session))["entries"]!.AsArray().Single(e => e!["component"]?.GetValue<string>() == "message")!;
        return (line["amount"]!.GetValue<long>(), line["rate_card"]!.GetValue<string>());
    }

    private static IEnumerable<string> Lines(JsonNode transaction) =>
        transaction["entries"]!.AsArray().Where(e => e!["component"] is not null).Select(e => Line(e!));

    private static string Line(JsonNode l) => $"{l["component"]} {l["quantity"]} {l["unit"]} {l["rate"]}/{l["per"]} {l["rate_card"]} {l["amount"]}";

    private static JsonNode RateOf(JsonNode card, string component) => card["rates"]!.AsArray().Single(r => r!["component"]!.GetValue<string>() == component)!;
}
