using Npgsql;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Billing;

/// <summary>The ledger's own promises, asked of the database itself, as the host's role.</summary>
internal sealed class LedgerTests
{
    private TestDatabase _database = null!;
    private NpgsqlDataSource _app = null!;

    [SetUp]
    public async Task SetUpAsync()
    {
        _database = await TestDatabase.CreateAsync();
        _app = NpgsqlDataSource.Create(_database.App);
        await ExecuteAsync("SELECT billing.open_account('ten1')");
    }

    [TearDown]
    public async Task TearDownAsync()
    {
        await _app.DisposeAsync();
        await _database.DisposeAsync();
    }

    [TestCase("UPDATE billing.entries SET amount = 0")]
    [TestCase("DELETE FROM billing.entries")]
    [TestCase("TRUNCATE billing.entries")]
    [TestCase("INSERT INTO billing.entries (id, transaction_id, tenant_id, seq, position, account, amount, posted_at) VALUES ('e', 't', 'ten1', 1, 1, 'available', 5, now())")]
    [TestCase("UPDATE billing.transactions SET kind = 'topup'")]
    [TestCase("UPDATE billing.heads SET available = 1000000")]
    [TestCase("DELETE FROM billing.holds")]
    [TestCase("UPDATE billing.rates SET rate = 0")]
    [TestCase("INSERT INTO billing.rates (rate_card, component, unit, rate, per) VALUES ('default-1', 'telephony_outbound', 'second', 1, 1)")]
    [TestCase("INSERT INTO billing.rate_cards (id, tenant_id, version, valid_from) VALUES ('ten1-1', 'ten1', 1, '2020-01-01')")]
    public async Task The_hosts_role_cannot_touch_what_is_written(string sql)
    {
        await TopUpAsync(100);
        var refused = Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(sql));
        Assert.That(refused!.SqlState, Is.EqualTo(PostgresErrorCodes.InsufficientPrivilege));
    }

    [TestCase("UPDATE billing.entries SET amount = 0")]
    [TestCase("DELETE FROM billing.transactions")]
    [TestCase("TRUNCATE billing.entries CASCADE")]
    [TestCase("UPDATE billing.rate_cards SET version = 7")]
    public async Task Not_even_the_owner_changes_history(string sql)
    {
        await TopUpAsync(100);
        await using var owner = NpgsqlDataSource.Create(_database.Owner);
        await using var command = owner.CreateCommand(sql);
        Assert.That(Assert.ThrowsAsync<PostgresException>(() => command.ExecuteNonQueryAsync())!.SqlState, Is.EqualTo("VP500"));
    }

    [Test]
    public void Entries_that_do_not_sum_to_zero_are_refused()
    {
        var refused = Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(
            """SELECT billing.post('txn1', 'ten1', 'topup', 'k', NULL, '{}', '[{"id": "e1", "account": "available", "amount": 5}, {"id": "e2", "account": "platform:funding", "amount": -4}]')"""));
        Assert.That(refused!.SqlState, Is.EqualTo("VP500"));
    }

    [Test]
    public async Task A_hundred_holds_at_once_take_only_what_is_there()
    {
        await TopUpAsync(1_000);
        var placed = await Task.WhenAll(Enumerable.Range(1, 100).Select(async n =>
        {
            try
            {
                await ExecuteAsync($"SELECT billing.place_hold('hld{n}', 'txnh{n}', 'ten1', 'ses{n}', 30, 'default-1', ARRAY['a{n}', 'b{n}'])");
                return true;
            }
            catch (PostgresException e) when (e.SqlState == "VP402")
            {
                return false;
            }
        }));

        Assert.That(placed.Count(p => p), Is.EqualTo(33));
        Assert.That(await BalanceAsync(), Is.EqualTo((10L, 990L)));
        await AssertSoundAsync();
    }

    [Test]
    public async Task Settling_charges_what_was_used_and_gives_back_the_rest_once()
    {
        await TopUpAsync(1_000);
        await ExecuteAsync("SELECT billing.place_hold('hld1', 'txnh', 'ten1', 'ses1', 400, 'default-1', ARRAY['a', 'b'])");
        for (var repeat = 0; repeat < 2; repeat++)
        {
            await ExecuteAsync($$"""SELECT billing.settle_hold('txns{{repeat}}', 'ten1', 'ses1', '{}', '[{"id": "l{{repeat}}", "amount": 150, "component": "platform", "quantity": 9, "unit": "second", "rate": 1, "per": 1, "rate_card": "default-1"}]', ARRAY['x{{repeat}}', 'y{{repeat}}', 'z{{repeat}}'])""");
        }

        Assert.That(await BalanceAsync(), Is.EqualTo((850L, 0L)));
        await AssertSoundAsync();
    }

    [Test]
    public async Task What_neither_hold_nor_credits_cover_is_booked_as_uncollected()
    {
        await TopUpAsync(100);
        await ExecuteAsync("SELECT billing.place_hold('hld1', 'txnh', 'ten1', 'ses1', 60, 'default-1', ARRAY['a', 'b'])");
        await ExecuteAsync("""SELECT billing.settle_hold('txns', 'ten1', 'ses1', '{}', '[{"id": "l", "amount": 170}]', ARRAY['x', 'y', 'z'])""");

        Assert.That(await BalanceAsync(), Is.EqualTo((0L, 0L)));
        Assert.That(await ScalarAsync("SELECT amount FROM billing.entries WHERE account = 'platform:uncollected'"), Is.EqualTo(-70L));
        await AssertSoundAsync();
    }

    [Test]
    public async Task A_changed_entry_breaks_the_chain()
    {
        await TopUpAsync(100);
        await TopUpAsync(200);
        await using (var owner = NpgsqlDataSource.Create(_database.Owner))
        {
            await using var tamper = owner.CreateCommand(
                "ALTER TABLE billing.entries DISABLE TRIGGER USER; UPDATE billing.entries SET quantity = 99 WHERE transaction_id = 'txn200'; ALTER TABLE billing.entries ENABLE TRIGGER USER;");
            await tamper.ExecuteNonQueryAsync();
        }

        Assert.That(await ScalarAsync("SELECT first_broken FROM billing.verify('ten1')"), Is.EqualTo("txn200"));
    }

    [Test]
    public async Task Random_interleavings_from_many_connections_leave_the_books_sound([Values(1, 2, 3)] int seed)
    {
        await TopUpAsync(5_000);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(async worker =>
        {
            var random = new Random((seed * 100) + worker);
            for (var step = 0; step < 40; step++)
            {
                var subject = $"ses{random.Next(12)}";
                var id = $"{worker}x{step}";
                var sql = random.Next(4) switch
                {
                    0 => $$"""SELECT billing.post('txnt{{id}}', 'ten1', 'topup', 'k{{random.Next(30)}}', NULL, '{}', '[{"id": "p{{id}}", "account": "available", "amount": 70}, {"id": "q{{id}}", "account": "platform:funding", "amount": -70}]')""",
                    1 => $"SELECT billing.place_hold('hld{id}', 'txnp{id}', 'ten1', '{subject}', {random.Next(1, 900)}, 'default-1', ARRAY['a{id}', 'b{id}'])",
                    2 => $"SELECT billing.extend_hold('txne{id}', 'ten1', '{subject}', {random.Next(1, 2_000)}, ARRAY['c{id}', 'd{id}'])",
                    _ => $$"""SELECT billing.settle_hold('txns{{id}}', 'ten1', '{{subject}}', '{}', '[{"id": "l{{id}}", "amount": {{random.Next(1_500)}}}]', ARRAY['x{{id}}', 'y{{id}}', 'z{{id}}'])""",
                };
                try
                {
                    await ExecuteAsync(sql);
                }
                catch (PostgresException e) when (e.SqlState == "VP402")
                {
                    // Not covered: nothing of it may have stayed, which is what is checked below.
                }
            }
        }));

        await AssertSoundAsync();
        Assert.That(await ScalarAsync("SELECT h.held = coalesce((SELECT sum(amount) FROM billing.holds WHERE status = 'active'), 0) FROM billing.heads h"), Is.True);
    }

    private async Task AssertSoundAsync()
    {
        Assert.That(await ScalarAsync("SELECT first_broken FROM billing.verify('ten1')"), Is.EqualTo(DBNull.Value));
        Assert.That(await ScalarAsync("SELECT coalesce(sum(amount), 0) FROM billing.entries"), Is.EqualTo(0m));
        Assert.That(await ScalarAsync("SELECT count(*) FROM billing.heads WHERE available < -credit_limit OR held < 0"), Is.EqualTo(0L));
    }

    private Task TopUpAsync(long amount) => ExecuteAsync(
        $$"""SELECT billing.post('txn{{amount}}', 'ten1', 'topup', 'topup{{amount}}', NULL, '{}', '[{"id": "u{{amount}}", "account": "available", "amount": {{amount}}}, {"id": "v{{amount}}", "account": "platform:funding", "amount": -{{amount}}}]')""");

    private async Task<(long Available, long Held)> BalanceAsync()
    {
        await using var command = _app.CreateCommand("SELECT available, held FROM billing.heads WHERE tenant_id = 'ten1'");
        await using var row = await command.ExecuteReaderAsync();
        await row.ReadAsync();
        return (row.GetInt64(0), row.GetInt64(1));
    }

    private async Task<object?> ScalarAsync(string sql)
    {
        await using var command = _app.CreateCommand(sql);
        return await command.ExecuteScalarAsync();
    }

    private async Task ExecuteAsync(string sql)
    {
        await using var command = _app.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}
