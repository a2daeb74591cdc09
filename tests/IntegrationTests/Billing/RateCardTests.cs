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

    [Test, OnSharedHost]
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

        Assert.That((before, beforeCard), Is.EqualTo((20_000L, "default-3")));
        Assert.That((after, afterCard), Is.EqualTo((140_000L, id)));

        var rates = await _books.Tenant.GetAsync("/v1/billing/rates");
        Assert.That(rates.Body!["in_force"]!["id"]!.GetValue<string>(), Is.EqualTo(id));
        Assert.That(RateOf(rates.Body["in_force"]!, "platform")["rate"]!.GetValue<long>(), Is.EqualTo(1_000_000), "What the card leaves out keeps its price.");
        var others = await (await _books.Host.SignUpAsync("Others")).GetAsync("/v1/billing/rates");
        Assert.That(others.Body!["in_force"]!["id"]!.GetValue<string>(), Is.EqualTo("default-3"));

        var audit = (await _books.Tenant.GetAsync("/v1/audit?action=billing.rate_card_created")).Body!["data"]!.AsArray();
        Assert.That(audit.Single()!["subject_id"]!.GetValue<string>(), Is.EqualTo(id));
    }

    [Test]
    public async Task A_card_that_is_announced_costs_nothing_yet()
    {
        var from = TimeProvider.System.GetUtcNow().AddDays(3);
        Assert.That((await CreateAsync(new { valid_from = from, rates = new[] { new { component = "message", unit = "message", rate = 1 } } })).Get<string>("id"), Is.EqualTo("default-4"));

        var rates = (await _books.Tenant.GetAsync("/v1/billing/rates")).Body!;
        Assert.That(rates["in_force"]!["id"]!.GetValue<string>(), Is.EqualTo("default-3"));
        Assert.That(rates["coming"]!.AsArray().Single()!["id"]!.GetValue<string>(), Is.EqualTo("default-4"));
        Assert.That(await MessagesAsync(await _books.ChatAsync(messages: 1)), Is.EqualTo((10_000L, "default-3")));
    }

    [Test]
    public async Task Cards_made_at_once_have_versions_of_their_own()
    {
        var made = await Task.WhenAll(Enumerable.Range(1, 6).Select(n => CreateAsync(new { rates = new[] { new { component = "message", unit = "message", rate = n } } })));
        Assert.That(made.Select(m => m.Get<int>("version")), Is.EquivalentTo(Enumerable.Range(4, 6)));
    }

    [Test]
    public async Task Cards_made_at_once_lose_nothing_of_each_other()
    {
        string[] components = ["message", "platform", "recording", "telephony_inbound", "telephony_outbound", "speech_to_text", "number", "llm_input"];
        var units = new Dictionary<string, string> { ["message"] = "message", ["number"] = "month", ["llm_input"] = "token" };
        var made = await Task.WhenAll(components.Select((c, i) => CreateAsync(new { rates = new[] { new { component = c, unit = units.GetValueOrDefault(c, "second"), rate = 7_000 + i } } })));
        Assert.That(made.Select(m => m.Status), Is.All.EqualTo(HttpStatusCode.Created));

        var inForce = (await _books.Tenant.GetAsync("/v1/billing/rates")).Body!["in_force"]!;
        Assert.That(components.Select(c => RateOf(inForce, c)["rate"]!.GetValue<int>()), Is.EqualTo(Enumerable.Range(7_000, components.Length)));
    }

    [Test]
    public async Task A_price_holds_until_a_card_of_later_sets_it_itself()
    {
        var (soon, later) = (TimeProvider.System.GetUtcNow().AddDays(3), TimeProvider.System.GetUtcNow().AddDays(9));
        await CreateAsync(new { valid_from = later, rates = new[] { new { component = "recording", unit = "second", rate = 5 } } });
        await CreateAsync(new { valid_from = soon, rates = new[] { new { component = "message", unit = "message", rate = 1 } } });
        await CreateAsync(new { valid_from = soon, own_key_discount_percent = 40 });
        await CreateAsync(new { tenant_id = _books.Tenant.TenantId, valid_from = later, rates = new[] { new { component = "number", unit = "month", rate = 9 } } });
        await CreateAsync(new { own_key_discount_percent = 70, rates = new[] { new { component = "message", unit = "message", rate = 2 }, new { component = "platform", unit = "second", rate = 3 } } });

        var rates = (await _books.Tenant.GetAsync("/v1/billing/rates")).Body!;
        var coming = rates["coming"]!.AsArray();
        Assert.That(coming.Select(c => c!["tenant_id"]?.GetValue<string>()), Is.EqualTo(new[] { null, _books.Tenant.TenantId }), "One version for each time, and the tenant's own instead of everybody's.");
        Assert.That(Told(rates["in_force"]!), Is.EqualTo("message 2, platform 3, recording 100000, number 0, discount 70"));
        Assert.That(Told(coming[0]!), Is.EqualTo("message 1, platform 3, recording 100000, number 0, discount 40"), "What it set itself stays; the rest is as it has become.");
        Assert.That(Told(coming[1]!), Is.EqualTo("message 1, platform 3, recording 5, number 9, discount 40"), "A tenant's first card goes on from what the installation's will be.");

        var others = (await (await _books.Host.SignUpAsync("Others")).GetAsync("/v1/billing/rates")).Body!["coming"]!.AsArray();
        Assert.That(others.Select(c => Told(c!)), Is.EqualTo(new[] { Told(coming[0]!), "message 1, platform 3, recording 5, number 0, discount 40" }));

        static string Told(JsonNode card) =>
            string.Join(", ", new[] { "message", "platform", "recording", "number" }.Select(c => $"{c} {RateOf(card, c)["rate"]}")) + $", discount {card["own_key_discount_percent"]}";
    }

    [Test]
    public async Task A_tenants_own_card_is_untouched_by_everybodys()
    {
        await CreateAsync(new { tenant_id = _books.Tenant.TenantId, rates = new[] { new { component = "message", unit = "message", rate = 7 } } });
        await CreateAsync(new { rates = new[] { new { component = "platform", unit = "second", rate = 1 } } });
        var rates = (await _books.Tenant.GetAsync("/v1/billing/rates")).Body!;
        Assert.That((RateOf(rates["in_force"]!, "platform")["rate"]!.GetValue<long>(), rates["coming"]!.AsArray().Count), Is.EqualTo((1_000_000L, 0)));
    }

    [Test, OnSharedHost]
    public async Task The_database_refuses_a_card_of_the_past_whoever_asks()
    {
        await using var host = Npgsql.NpgsqlDataSource.Create(_books.Host.Database.App);
        await using var add = host.CreateCommand("""SELECT billing.add_rate_card(NULL, now() - interval '2 minutes', NULL, '[]')""");
        Assert.That(Assert.ThrowsAsync<Npgsql.PostgresException>(() => add.ExecuteNonQueryAsync())!.SqlState, Is.EqualTo("VP410"));
        await using var make = host.CreateCommand("""SELECT billing.make_rate_card(NULL, now() - interval '2 minutes', NULL, '[]')""");
        Assert.That(Assert.ThrowsAsync<Npgsql.PostgresException>(() => make.ExecuteNonQueryAsync())!.SqlState, Is.EqualTo("42501"));
    }

    [Test, OnSharedHost]
    public async Task The_dearest_card_that_is_taken_lets_every_conversation_end()
    {
        // 625 credits a second is what a line may cost at a day of talk; a price a little above it is refused.
        string[] perSecond = ["platform", "telephony_outbound", "telephony_inbound", "recording", "speech_to_text"];
        var most = 1_000_000_000L * 1_000_000 / 16 / 86_400;
        Assert.That((await CreateAsync(new { tenant_id = _books.Tenant.TenantId, rates = new[] { new { component = "platform", unit = "second", rate = most + 1 } } })).Fields, Is.EqualTo(new[] { "rates[0].rate" }));
        object[] dearest =
        [
            .. perSecond.Select(c => new { component = c, unit = "second", rate = most }),
            new { component = "message", unit = "message", rate = 625_000_000 },
            new { component = "llm_input", unit = "token", rate = 625_000 },
            new { component = "llm_output", unit = "token", rate = 625_000 },
            new { component = "llm_cached_input", unit = "token", rate = 625_000 },
            new { component = "text_to_speech", unit = "character", rate = 625_000 },
        ];
        var made = await CreateAsync(new { tenant_id = _books.Tenant.TenantId, rates = dearest });
        Assert.That(made.Status, Is.EqualTo(HttpStatusCode.Created), made.Body?.ToJsonString());
        var quote = await QuoteAsync(new
        {
            kind = "call", duration_s = 86_400, recorded = true, speech_to_text_s = 86_400, text_to_speech_characters = 100_000_000, llm_input_tokens = 100_000_000, llm_output_tokens = 100_000_000,
            llm_cached_input_tokens = 100_000_000, messages = 100_000,
        });
        Assert.That(quote.Status, Is.EqualTo(HttpStatusCode.OK), quote.Body?.ToJsonString());
        Assert.That(quote.Get<long>("amount"), Is.GreaterThan(500_000_000_000_000));
    }

    [Test]
    public async Task What_no_card_prices_costs_nothing_and_the_charge_says_so()
    {
        // A card from before a component came.
        await _books.AsSuperuserAsync(
            """
            INSERT INTO billing.rate_cards (id, tenant_id, version, valid_from) VALUES ('default-9', NULL, 9, now());
            INSERT INTO billing.rates (rate_card, component, unit, rate, per) SELECT 'default-9', component, unit, rate, per FROM billing.rates WHERE rate_card = 'default-1' AND component <> 'message'
            """);
        var session = await _books.ChatAsync(messages: 2);
        var transaction = await _books.TransactionAsync("release", session);
        Assert.That(transaction["metadata"]!["unpriced"]!.ToJsonString(), Is.EqualTo("""["message"]"""), transaction.ToJsonString());
        Assert.That((await QuoteAsync(new { kind = "text", messages = 4 })).Body!["unpriced"]!.ToJsonString(), Is.EqualTo("""["message"]"""));
        await _books.AssertSoundAsync();
    }

    [TestCase("""{"rates": []}""", "rates")]
    [TestCase("""{}""", "rates")]
    [TestCase("""{"own_key_discount_percent": 101}""", "own_key_discount_percent")]
    [TestCase("""{"rates": [{"component": "platform", "unit": "second", "rate": 1000000000, "minimum": 1000000000}]}""", "rates[0].rate")]
    [TestCase("""{"rates": [{"component": "message", "unit": "message", "rate": 1000000000, "increment": 1000000000}]}""", "rates[0].rate")]
    [TestCase("""{"rates": [{"component": "telephony_outbound", "unit": "second", "rate": 1, "prefix": "49"}]}""", "rates[0].prefix")]
    [TestCase("""{"rates": [{"component": "telephony_outbound", "unit": "second", "rate": 1, "prefix": "+0"}]}""", "rates[0].prefix")]
    [TestCase("""{"rates": [{"component": "telephony_outbound", "unit": "second", "rate": 1, "prefix": ""}]}""", "rates[0].prefix")]
    [TestCase("""{"rates": [{"component": "platform", "unit": "second", "rate": 1, "prefix": "+49"}]}""", "rates[0].prefix")]
    [TestCase("""{"rates": [{"component": "platform", "unit": "second", "rate": 1, "cost": -1}]}""", "rates[0].cost")]
    [TestCase("""{"rates": [{"component": "telephony_outbound", "unit": "second", "rate": 1, "prefix": "+49"}, {"component": "telephony_outbound", "unit": "second", "rate": 2, "prefix": "+49"}]}""", "rates")]
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
    [OnSharedHost]
    public async Task A_card_that_cannot_be_is_refused_by_field(string body, string field)
    {
        var refused = await CreateAsync(body);
        Assert.That((refused.Status, refused.Fields.First()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, field)), refused.Body?.ToJsonString());
    }

    [TestCase("""{"currency": "EUR", "rates": [{"component": "message", "unit": "message", "rate": 1}]}""", "currency")]
    [TestCase("""{"rates": [{"component": "message", "unit": "message", "rate": 1.5}]}""", "rates[0].rate")]
    [TestCase("""{"rates": [{"component": "message", "unit": "message", "rate": "1"}]}""", "rates[0].rate")]
    [TestCase("""{"valid_from": "soon", "rates": [{"component": "message", "unit": "message", "rate": 1}]}""", "valid_from")]
    [OnSharedHost]
    public async Task A_card_that_cannot_be_read_is_refused_by_field(string body, string field)
    {
        var refused = await CreateAsync(body);
        Assert.That((refused.Status, refused.Code, refused.Fields.Single()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, "request.invalid", field)));
    }

    [Test, OnSharedHost]
    public async Task A_quote_is_what_is_held_and_charged()
    {
        await CreateAsync(new { tenant_id = _books.Tenant.TenantId, rates = new[] { new { component = "message", unit = "message", rate = 12_345, per = 7, increment = 2, minimum = 3 } } });
        var session = await _books.Tenant.StartTextSessionAsync(await _books.Tenant.CreateAssistantAsync());
        var held = (await _books.Tenant.GetAsync("/v1/billing/holds?status=active")).Body!["data"]![0]!["amount"]!.GetValue<long>();
        await _books.SayAsync(session, 4);
        await _books.EndAsync(session);
        var charged = Lines(await _books.TransactionAsync("charge", session));

        var quote = await QuoteAsync(new { kind = "text", messages = 4 });
        Assert.That(quote.Status, Is.EqualTo(HttpStatusCode.OK), quote.Body?.ToJsonString());
        var quoted = quote.Body!["lines"]!.AsArray().Select(l => Line(l!)).ToList();
        Assert.That(quoted, Is.EqualTo(charged));
        Assert.That(quoted.Single(), Does.StartWith($"message 5 message 12345/7 {_books.Tenant.TenantId}-1"), "Three, and a step of two.");
        Assert.That(quote.Get<long>("amount"), Is.EqualTo(quote.Body["lines"]!.AsArray().Sum(l => l!["amount"]!.GetValue<long>())));
        Assert.That(quote.Body["hold"]!["amount"]!.GetValue<long>(), Is.EqualTo(held));
    }

    [Test, OnSharedHost]
    public async Task A_call_is_quoted_by_direction_duration_and_recording()
    {
        await CreateAsync(new { tenant_id = _books.Tenant.TenantId, rates = new[] { new { component = "telephony_outbound", unit = "second", rate = 400_000, per = 60, increment = 6, minimum = 60 } } });
        var call = await QuoteAsync(new { kind = "call", direction = "outbound", duration_s = 60.2, recorded = true, llm_output_tokens = 10 });
        Assert.That(call.Body!["lines"]!.AsArray().Select(l => Line(l!)), Is.EqualTo(new[]
        {
            $"llm_output 10 token 1200000/1000000 {_books.Tenant.TenantId}-1 12",
            $"platform 61 second 1000000/60 {_books.Tenant.TenantId}-1 1016667",
            $"recording 61 second 100000/60 {_books.Tenant.TenantId}-1 101667",
            $"telephony_outbound 66 second 400000/60 {_books.Tenant.TenantId}-1 440000",
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
    [OnSharedHost]
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
