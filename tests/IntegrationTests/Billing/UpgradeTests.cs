using System.Security.Cryptography;
using System.Text;
using Npgsql;
using VoicePlatform.Host;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Billing;

/// <summary>A ledger that was in use before it knew budgets and grants.</summary>
internal sealed class UpgradeTests
{
    private TestDatabase _database = null!;
    private NpgsqlDataSource _owner = null!;

    [SetUp]
    public async Task SetUpAsync()
    {
        _database = await TestDatabase.CreateEmptyAsync();
        _owner = NpgsqlDataSource.Create(_database.Owner);
    }

    [TearDown]
    public async Task TearDownAsync()
    {
        await _owner.DisposeAsync();
        await _database.DisposeAsync();
    }

    [Test]
    public async Task What_was_held_charged_and_given_before_is_known_after()
    {
        await MigrateBelowAsync("billing/0012");
        await ExecuteAsync("""
            SELECT billing.open_account('ten1'), billing.open_account('ten2');
            SELECT billing.post('txnp', 'ten1', 'promotional', 'signup', NULL, '{}', '[{"id": "e1", "account": "available", "amount": 1000}, {"id": "e2", "account": "platform:promotional", "amount": -1000}]');
            SELECT billing.post('txnt', 'ten1', 'topup', 't', NULL, '{}', '[{"id": "e3", "account": "available", "amount": 5000}, {"id": "e4", "account": "platform:funding", "amount": -5000}]');
            SELECT billing.place_hold('hld1', 'txnh1', 'ten1', 'ses1', 400, 'default-1', ARRAY['a1', 'a2']);
            SELECT billing.settle_hold('txns1', 'ten1', 'ses1', '{}', '[{"id": "l1", "amount": 300}]', ARRAY['b1', 'b2', 'b3']);
            SELECT billing.place_hold('hld2', 'txnh2', 'ten1', 'ses2', 100, 'default-1', ARRAY['a3', 'a4']);
            SELECT billing.settle_hold('txns2', 'ten1', 'ses2', '{}', '[{"id": "l2", "amount": 50}]', ARRAY['b4', 'b5', 'b6']);
            SELECT billing.reverse('txnr2', 'txns2', 'a mistake', ARRAY['r1', 'r2', 'r3']);
            SELECT billing.place_hold('hld3', 'txnh3', 'ten1', 'ses3', 200, 'default-1', ARRAY['a5', 'a6']);
            SELECT billing.place_hold('hld4', 'txnh4', 'ten1', 'ses4', 70, 'default-1', ARRAY['a7', 'a8']);
            SELECT billing.settle_hold('txns4', 'ten1', 'ses4', '{}', '[]', ARRAY['b7', 'b8', 'b9'])
            """);

        Assert.That(await Migrations.ApplyAsync(_owner, CancellationToken.None), Is.Not.Empty);

        Assert.That(await ReadAsync("SELECT string_agg(concat_ws(' ', tenant_id, assistant_id, held, charged), ';') FROM billing.spending"), Is.EqualTo("ten1  200 300"));
        Assert.That(await ReadAsync("SELECT string_agg(concat_ws(' ', transaction_id, amount, remaining, ended_at), ';') FROM billing.grants"), Is.EqualTo("txnp 1000 650"));
        Assert.That(await ReadAsync("SELECT string_agg(concat_ws(' ', tenant_id, credit_limit, budgets_revision), ';' ORDER BY tenant_id) FROM billing.heads"), Is.EqualTo("ten1 0 0;ten2 0 0"));

        await ExecuteAsync("""SELECT billing.set_budgets('ten1', '[{"per": "day", "amount": 600}]')""");
        Assert.That(Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync("SELECT billing.place_hold('hld5', 'txnh5', 'ten1', 'ses5', 101, 'default-1', ARRAY['a9', 'a10'])"))!.SqlState, Is.EqualTo("VP403"), "The morning counts.");
        Assert.That(Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync("SELECT billing.extend_hold('txnx3', 'ten1', 'ses3', 301, ARRAY['c1', 'c2'])"))!.SqlState, Is.EqualTo("VP403"));
        await ExecuteAsync("SELECT billing.extend_hold('txnx4', 'ten1', 'ses3', 300, ARRAY['c3', 'c4'])");
        await ExecuteAsync("""SELECT billing.settle_hold('txns3', 'ten1', 'ses3', '{}', '[{"id": "l3", "amount": 900}]', ARRAY['b10', 'b11', 'b12'])""");
        Assert.That(await ReadAsync("SELECT string_agg(concat_ws(' ', held, charged), ';') FROM billing.spending"), Is.EqualTo("0 1200"));
        Assert.That(await ReadAsync("SELECT remaining::text FROM billing.grants"), Is.EqualTo("0"));
        Assert.That(await ReadAsync("SELECT concat_ws(' ', transactions, first_broken) FROM billing.verify('ten1')"), Is.EqualTo("12"), "The chain goes on over the change.");
    }

    [Test]
    public async Task Cards_of_before_keep_their_prices_and_new_components_join_them()
    {
        await MigrateBelowAsync("billing/0050");
        await ExecuteAsync("""
            SELECT billing.open_account('ten1'), billing.open_account('ten2');
            INSERT INTO billing.rate_cards (id, tenant_id, version, valid_from) VALUES
              ('default-3', NULL, 3, now() - interval '1 day'), ('default-4', NULL, 4, now() + interval '1 day'), ('ten1-1', 'ten1', 1, now() - interval '1 hour'), ('ten2-1', 'ten2', 1, now() + interval '1 hour');
            INSERT INTO billing.rates (rate_card, component, unit, rate, per)
            SELECT c.id, r.component, r.unit, CASE r.component WHEN 'message' THEN length(c.id) * 1000 + c.version ELSE r.rate END, r.per
            FROM billing.rate_cards c, billing.rates r WHERE r.rate_card = 'default-2' AND c.id NOT IN ('default-1', 'default-2')
            """);

        Assert.That(await Migrations.ApplyAsync(_owner, CancellationToken.None), Is.Not.Empty);

        // By owner and time the last version counts: everybody's and ten1's of now, and what was announced as it was said, with what is new beside it.
        Assert.That(await ReadAsync("""
            SELECT string_agg(concat_ws(' ', c.id, c.own_key_discount_percent, m.rate, n.rate, (SELECT count(*) FROM billing.rates WHERE rate_card = c.id)), '; ' ORDER BY c.tenant_id NULLS FIRST, c.valid_from)
            FROM (SELECT DISTINCT ON (tenant_id, valid_from) * FROM billing.rate_cards ORDER BY tenant_id, valid_from, version DESC) c
            LEFT JOIN billing.rates m ON m.rate_card = c.id AND m.component = 'message' LEFT JOIN billing.rates n ON n.rate_card = c.id AND n.component = 'number'
            """), Is.EqualTo("default-1 0 10000 7; default-2 0 10000 10; default-3 0 9003 10; default-5 100 9003 0 14; default-6 100 9004 0 14; ten1-1 0 6001 10; ten1-2 100 6001 0 14; ten2-2 100 6001 0 14"));
    }

    /// <summary>Applies what comes before a file, and notes it, as the host before it did.</summary>
    private async Task MigrateBelowAsync(string name)
    {
        await ExecuteAsync("CREATE TABLE public.schema_history (name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())");
        foreach (var module in Migrations.Modules)
        {
            foreach (var file in Directory.GetFiles(Path.Combine(Migrations.Folder, module), "*.sql").Order(StringComparer.Ordinal))
            {
                var fileName = $"{module}/{Path.GetFileName(file)}";
                if (module == name.Split('/')[0] && string.CompareOrdinal(fileName, name) >= 0)
                {
                    continue;
                }

                var sql = await File.ReadAllTextAsync(file);
                await ExecuteAsync(sql);
                await ExecuteAsync($"INSERT INTO public.schema_history (name, sha256) VALUES ('{fileName}', '{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(sql)))}')");
            }
        }

        await ExecuteAsync("SELECT platform.guard_tenants()");
    }

    private async Task<object?> ReadAsync(string sql)
    {
        await using var command = _owner.CreateCommand(sql);
        return await command.ExecuteScalarAsync();
    }

    private async Task ExecuteAsync(string sql)
    {
        await using var command = _owner.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}
