using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using VoicePlatform.Billing.Ledger;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.IntegrationTests.Support;
using VoicePlatform.SharedKernel;

namespace VoicePlatform.IntegrationTests.Billing;

/// <summary>Holds as Session and Call ask for them.</summary>
internal sealed class HoldTests
{
    private const string Tenant = "ten1";

    private TestDatabase _database = null!;
    private BareLedger _ledger = null!;

    [SetUp]
    public async Task SetUpAsync()
    {
        _database = await TestDatabase.CreateAsync();
        _ledger = new BareLedger(_database.App);
        await _ledger.OpenAccountAsync(Tenant, 1_000_000);
    }

    [TearDown]
    public async Task TearDownAsync()
    {
        await _ledger.DisposeAsync();
        await _database.DisposeAsync();
    }

    [Test]
    public async Task Who_asks_for_a_hold_again_is_told_of_the_one_there_is()
    {
        var first = (await _ledger.SendAsync(new PlaceHold(Tenant, "ses1", null, BareLedger.Messages(5)))).Value;
        await _ledger.SendAsync(new ExtendHold(Tenant, "ses1", BareLedger.Messages(7)));
        var again = (await _ledger.SendAsync(new PlaceHold(Tenant, "ses1", null, BareLedger.Messages(99)))).Value;

        Assert.That(again, Is.EqualTo(first with { Amount = 70_000 }));
        Assert.That(again.HoldId, Is.EqualTo(await _ledger.ScalarAsync<string>("SELECT id FROM billing.holds")));
    }

    [Test]
    public async Task A_posting_does_not_stand_alone_when_the_transaction_that_it_belongs_to_is_lost()
    {
        var before = await _ledger.ScalarAsync<long>("SELECT count(*) FROM billing.transactions");
        Assert.ThrowsAsync<NpgsqlException>(() => _ledger.TogetherAsync(async scope =>
        {
            var connection = scope.GetRequiredService<UnitOfWork>().Connection;
            await using (var kill = _ledger.Source.CreateCommand($"SELECT pg_terminate_backend({connection.ProcessID})"))
            {
                await kill.ExecuteNonQueryAsync();
            }

            // Somebody on the way takes it lightly.
            Assert.CatchAsync<NpgsqlException>(() => new NpgsqlCommand("SELECT 1", connection).ExecuteNonQueryAsync());
            await scope.GetRequiredService<LedgerPostings>().PlaceHoldAsync("hld1", Tenant, "ses1", null, 5, "default-2", default);
            return (Result<Done>)default(Done);
        }));
        Assert.That(await _ledger.ScalarAsync<long>("SELECT count(*) FROM billing.transactions"), Is.EqualTo(before));
    }

    [Test]
    public async Task A_hold_with_enough_in_it_is_not_raised()
    {
        await _ledger.SendAsync(new PlaceHold(Tenant, "ses1", null, BareLedger.Messages(5)));
        Assert.That((await _ledger.SendAsync(new ExtendHold(Tenant, "ses1", BareLedger.Messages(9), BareLedger.Messages(5)))).Value, Is.EqualTo(Cover.Held));
        Assert.That(await HeldAsync(), Is.EqualTo(50_000));
        Assert.That((await _ledger.SendAsync(new ExtendHold(Tenant, "ses1", BareLedger.Messages(9), BareLedger.Messages(6)))).Value, Is.EqualTo(Cover.Held));
        Assert.That(await HeldAsync(), Is.EqualTo(90_000), "As far as was expected.");
        Assert.That((await _ledger.SendAsync(new ExtendHold(Tenant, "ses1", BareLedger.Messages(8), BareLedger.Messages(99)))).Value, Is.EqualTo(Cover.Held));
        Assert.That(await HeldAsync(), Is.EqualTo(90_000), "Never lowered.");

        Task<long> HeldAsync() => _ledger.ScalarAsync<long>("SELECT amount FROM billing.holds");
    }

    [Test]
    public async Task A_use_that_costs_more_than_a_posting_carries_is_refused_and_nothing_is_held()
    {
        var refused = await _ledger.SendAsync(new PlaceHold(Tenant, "ses1", null, BareLedger.Messages(long.MaxValue)));

        Assert.That(refused.Error?.Code, Is.EqualTo("billing.amount_too_large"));
        Assert.That(await _ledger.ScalarAsync<long>("SELECT count(*) FROM billing.holds"), Is.Zero);
    }

    [Test]
    public async Task What_costs_more_than_a_posting_carries_is_charged_as_far_as_one_does_and_told()
    {
        await _ledger.SendAsync(new PlaceHold(Tenant, "ses1", null, BareLedger.Messages(5)));
        var charge = (await _ledger.SendAsync(new SettleHold(Tenant, "ses1", [.. BareLedger.Messages(3), new("llm_output", "token", long.MaxValue), new("platform", "second", long.MaxValue)]))).Value;

        // By the components' names, until the posting is full.
        Assert.That(charge.Lines.Select(l => (l.Component, l.Quantity, l.Amount)), Is.EqualTo(new[] { ("llm_output", 833_333_333_333_333L, 1_000_000_000_000_000L) }));
        Assert.That(charge.Cost, Is.EqualTo(1_000_000_000_000_000L));
        Assert.That(await _ledger.ScalarAsync<string>("SELECT format('%s %s', available, held) FROM billing.heads"), Is.EqualTo("0 0"), "What the account could bear.");
        Assert.That(
            await _ledger.ScalarAsync<long>("SELECT -amount FROM billing.entries WHERE account = 'platform:uncollected'"), Is.EqualTo(charge.Cost - 1_000_000), "The rest was not collected.");
        Assert.That(await _ledger.ScalarAsync<string>("SELECT format('%s %s', what, charged) FROM billing.differences WHERE subject_id = 'ses1'"), Is.EqualTo($"charge_cut {charge.Cost}"));
        Assert.That(await _ledger.ScalarAsync<string>("SELECT status FROM billing.holds"), Is.EqualTo("settled"));
    }

    [Test]
    public async Task What_is_learnt_late_and_costs_too_much_is_charged_as_far_as_a_posting_carries()
    {
        await _ledger.SendAsync(new PlaceHold(Tenant, "ses1", null, BareLedger.Messages(5)));
        await _ledger.SendAsync(new SettleHold(Tenant, "ses1", BareLedger.Messages(3)));
        var late = await _ledger.SendAsync(new ChargeLateUse(Tenant, "ses1", BareLedger.Messages(3), BareLedger.Messages(long.MaxValue)));

        Assert.That(late.Value.Lines.Select(l => (l.Quantity, l.Amount)), Is.EqualTo(new[] { (100_000_000_000L - 3, 1_000_000_000_000_000L - 30_000) }));
        Assert.That(await _ledger.ScalarAsync<string>("SELECT what FROM billing.differences"), Is.EqualTo("charge_cut"));
        Assert.That((await _ledger.SendAsync(new ChargeLateUse(Tenant, "ses1", BareLedger.Messages(3), BareLedger.Messages(long.MaxValue)))).IsOk, "Again is no mistake.");
        Assert.That(await _ledger.ScalarAsync<long>("SELECT count(*) FROM billing.transactions WHERE kind = 'adjustment'"), Is.EqualTo(1));
    }

    [Test]
    public async Task Who_settles_again_is_told_what_was_charged_the_first_time()
    {
        await _ledger.SendAsync(new PlaceHold(Tenant, "ses1", null, BareLedger.Messages(5)));
        var first = (await _ledger.SendAsync(new SettleHold(Tenant, "ses1", [.. BareLedger.Messages(7), new("platform", "second", 30)]))).Value;
        var again = (await _ledger.SendAsync(new SettleHold(Tenant, "ses1", BareLedger.Messages(99)))).Value;

        Assert.That(first.Cost, Is.EqualTo(570_000));
        Assert.That((again.TransactionId, again.Cost), Is.EqualTo((first.TransactionId, first.Cost)));
        Assert.That(again.Lines, Is.EqualTo(first.Lines));
    }

    [Test]
    public async Task Who_settles_again_after_a_release_is_told_that_nothing_was_charged()
    {
        await _ledger.SendAsync(new PlaceHold(Tenant, "ses1", null, BareLedger.Messages(5)));
        var first = (await _ledger.SendAsync(new SettleHold(Tenant, "ses1", []))).Value;
        var again = (await _ledger.SendAsync(new SettleHold(Tenant, "ses1", BareLedger.Messages(99)))).Value;

        Assert.That((again.TransactionId, again.Cost, again.Lines.Count), Is.EqualTo((first.TransactionId, 0L, 0)));
    }

    [Test]
    public async Task What_was_charged_is_told_also_when_the_charge_was_taken_back()
    {
        await _ledger.SendAsync(new PlaceHold(Tenant, "ses1", null, BareLedger.Messages(5)));
        var first = (await _ledger.SendAsync(new SettleHold(Tenant, "ses1", BareLedger.Messages(7)))).Value;
        await _ledger.SendAsync(new VoicePlatform.Billing.Features.ReverseTransaction.Command(first.TransactionId, "a mistake"));

        Assert.That((await _ledger.SendAsync(new SettleHold(Tenant, "ses1", []))).Value.Cost, Is.EqualTo(70_000));
    }

    [Test]
    public async Task A_subject_that_never_had_a_hold_costs_nothing()
    {
        var charge = (await _ledger.SendAsync(new SettleHold(Tenant, "ses1", BareLedger.Messages(7)))).Value;
        Assert.That((charge.TransactionId, charge.Cost), Is.EqualTo(((string?)null, 0L)));
    }
}
