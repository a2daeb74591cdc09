using System.Net;
using Npgsql;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Billing;

/// <summary>What the platform itself pays: in its own book to the micro-credit, and out of every tenant's sight.</summary>
internal sealed class ProviderCostTests
{
    private const string Tenant = "ten1";

    private TestDatabase _database = null!;
    private BareLedger _ledger = null!;
    private NpgsqlDataSource _owner = null!;

    [SetUp]
    public async Task SetUpAsync()
    {
        _database = await TestDatabase.CreateAsync();
        _owner = NpgsqlDataSource.Create(_database.Owner);
        _ledger = new BareLedger(_database.App);
        await _ledger.OpenAccountAsync(Tenant, 100_000_000);
        await _ledger.ScalarAsync<string>(
            """
            SELECT billing.add_rate_card(NULL, NULL, NULL, '[
              {"component": "llm_output", "prefix": "", "unit": "token", "rate": 1200000, "per": 1000000, "increment": 1, "minimum": 0, "cost": 600000},
              {"component": "telephony_outbound", "prefix": "", "unit": "second", "rate": 400000, "per": 60, "increment": 6, "minimum": 60, "cost": 100000},
              {"component": "telephony_outbound", "prefix": "+49", "unit": "second", "rate": 400000, "per": 60, "increment": 6, "minimum": 60, "cost": 200001}]')
            """);
    }

    [TearDown]
    public async Task TearDownAsync()
    {
        await _owner.DisposeAsync();
        await _ledger.DisposeAsync();
        await _database.DisposeAsync();
    }

    [Test]
    public async Task A_conversations_cost_is_of_what_was_used_discarded_with_it_and_by_the_operators_keys_alone()
    {
        Measured[] used =
        [
            new("llm_output", "token", 1_001), new("llm_output", "token", 500) { OwnKey = true }, new("llm_output", "token", 10) { Discarded = true },
            new("telephony_outbound", "second", 7) { Number = "+493012345678" }, new("platform", "second", 7),
        ];
        await _ledger.SendAsync(new PlaceHold(Tenant, "ses1", null, used));
        var charge = (await _ledger.SendAsync(new SettleHold(Tenant, "ses1", used))).Value;
        await _ledger.SendAsync(new SettleHold(Tenant, "ses1", [new("llm_output", "token", 9_999)]));

        Assert.That(charge.Lines.Select(l => (l.Component, l.Quantity)), Is.EqualTo(new[]
        {
            ("llm_output", 1_001L), ("llm_output:own_key", 500), ("platform", 7), ("telephony_outbound:+49", 60),
        }), "What was discarded is no line of the tenant's.");
        Assert.That(await BookedAsync("end:ses1"), Is.EqualTo(new[]
        {
            // 1011 × 0.6 = 606.6, and 7 × 200001 ÷ 60 = 23333.45: seven seconds, not the sixty that are charged.
            "platform:provider_cost -607 llm_output 1011", "platform:provider_payable 607 llm_output 1011",
            "platform:provider_cost -23333 telephony_outbound:+49 7", "platform:provider_payable 23333 telephony_outbound:+49 7",
        }));

        Measured[] more = [.. used.Skip(1), new("llm_output", "token", 2_001)];
        for (var twice = 0; twice < 2; twice++)
        {
            await _ledger.SendAsync(new ChargeLateUse(Tenant, "ses1", used, more));
        }

        Assert.That(await ReadAsync("SELECT count(*) || ' ' || sum(amount) || ' ' || min(amount) FROM billing.provider_costs WHERE booking LIKE 'late:%'"), Is.EqualTo("2 0 -600"));
        Assert.That(await ReadAsync("SELECT string_agg(account || ' ' || balance, ', ' ORDER BY account) FROM billing.provider_cost_balances()"), Is.EqualTo("platform:provider_cost -24540, platform:provider_payable 24540"));
    }

    [TestCase("SELECT * FROM billing.provider_costs", "42501", false)]
    [TestCase("INSERT INTO billing.provider_costs VALUES ('ten1', 'x', 1, 'platform:provider_cost', 5, now(), 's', 'c', 1, 'u', 1, 1, 'default-1')", "42501", false)]
    [TestCase("INSERT INTO billing.provider_costs VALUES ('ten1', 'x', 1, 'platform:provider_cost', 5, now(), 's', 'c', 1, 'u', 1, 1, 'default-1')", "VP500", true)]
    [TestCase("UPDATE billing.provider_costs SET amount = 0", "VP500", true)]
    [TestCase("DELETE FROM billing.provider_costs", "VP500", true)]
    public async Task The_host_cannot_read_it_and_nobody_changes_it(string sql, string state, bool asOwner)
    {
        await using var command = (asOwner ? _owner : _ledger.Source).CreateCommand(sql);
        Assert.That(Assert.ThrowsAsync<PostgresException>(() => command.ExecuteNonQueryAsync())!.SqlState, Is.EqualTo(state));
    }

    [Test]
    public async Task The_operator_has_it_in_the_trial_balance_and_the_tenant_nowhere()
    {
        await using var books = await Books.OpenAsync();
        await using var receiver = await WebhookReceiver.StartAsync();
        await books.TopUpAsync(100_000_000);
        await books.Tenant.PostAsync("/v1/webhooks", new { url = receiver.Url, event_types = new[] { "session.completed" } });
        var made = await books.AsOperatorAsync(HttpMethod.Post, "/v1/billing/rate-cards", new
        {
            tenant_id = books.Tenant.TenantId, rates = new[] { new { component = "message", unit = "message", rate = 10_000, cost = 43_219_876 } },
        });
        Assert.That(made.Status, Is.EqualTo(HttpStatusCode.Created), made.Body?.ToJsonString());
        Assert.That(made.Body!["rates"]!.AsArray().Single(r => r!["component"]!.GetValue<string>() == "message")!["cost"]!.GetValue<long>(), Is.EqualTo(43_219_876));
        var session = await books.ChatAsync(messages: 2);

        var trial = await books.AsOperatorAsync(HttpMethod.Get, "/v1/billing/trial-balance");
        Assert.That(
            trial.Body!["accounts"]!.AsArray().Select(a => (a!["account"]!.GetValue<string>(), a["balance"]!.GetValue<long>())),
            Is.SupersetOf(new[] { ("platform:provider_cost", -86_439_752L), ("platform:provider_payable", 86_439_752L), ("platform:revenue", 20_000L) }));
        await books.AssertSoundAsync();

        // A charge that is taken back is still owed to the provider.
        await books.ReverseAsync((await books.TransactionAsync("charge", session))["id"]!.GetValue<string>());
        trial = await books.AsOperatorAsync(HttpMethod.Get, "/v1/billing/trial-balance");
        Assert.That(trial.Body!["accounts"]!.AsArray().Single(a => a!["account"]!.GetValue<string>() == "platform:provider_cost")!["balance"]!.GetValue<long>(), Is.EqualTo(-86_439_752));

        var month = TimeProvider.System.GetUtcNow().ToString("yyyy-MM", System.Globalization.CultureInfo.InvariantCulture);
        foreach (var path in new[]
        {
            "/v1/billing/entries?limit=100", "/v1/billing/transactions?limit=100", $"/v1/billing/statements/{month}", $"/v1/billing/statements/{month}?format=csv", "/v1/billing/export.csv?accounts=all",
            "/v1/billing/rates", "/v1/audit", "/v1/events", "/v1/billing/balance", $"/v1/sessions/{session}", $"/v1/sessions/{session}/usage",
        })
        {
            Assert.That(await books.TextAsync(path), Does.Not.Contain("provider_").And.Not.Contain("43219876").And.Not.Contain("86439752"), path);
        }

        var told = (await receiver.NextAsync()).Json;
        Assert.That(told.ToJsonString(), Does.Not.Contain("provider_").And.Not.Contain("43219876").And.Not.Contain("86439752"));
    }

    private async Task<List<string>> BookedAsync(string booking)
    {
        await using var query = _owner.CreateCommand("SELECT concat_ws(' ', account, amount, component, quantity) FROM billing.provider_costs WHERE booking = $1 ORDER BY position");
        query.Parameters.Add(new() { Value = booking });
        var rows = new List<string>();
        await using var row = await query.ExecuteReaderAsync();
        while (await row.ReadAsync())
        {
            rows.Add(row.GetString(0));
        }

        return rows;
    }

    private async Task<object?> ReadAsync(string sql)
    {
        await using var query = _owner.CreateCommand(sql);
        return await query.ExecuteScalarAsync();
    }
}
