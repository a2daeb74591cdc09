using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Npgsql;
using VoicePlatform.Billing;
using VoicePlatform.Billing.Features;
using VoicePlatform.Billing.Ledger;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Billing;

/// <summary>The host's verb verify-ledger against somebody who is above all of the database's rules.</summary>
internal sealed partial class VerifierTests
{
    private const string Honest = "ten1";
    private const string Victim = "ten2";

    private TestDatabase _database = null!;
    private BareLedger _ledger = null!;

    [SetUp]
    public async Task SetUpAsync()
    {
        _database = await TestDatabase.CreateAsync();
        _ledger = new BareLedger(_database.App);
        foreach (var tenant in new[] { Honest, Victim })
        {
            await _ledger.OpenAccountAsync(tenant, 1_000_000);
            await _ledger.SendAsync(new PlaceHold(tenant, $"{tenant}ses1", null, BareLedger.Messages(5)));
            await _ledger.SendAsync(new ExtendHold(tenant, $"{tenant}ses1", BareLedger.Messages(9)));
            await _ledger.SendAsync(new SettleHold(tenant, $"{tenant}ses1", [.. BareLedger.Messages(200), new("platform", "second", 30), new("llm_output", "token", 77)]));
            await _ledger.TopUpAsync(tenant, 500_000, "schräg | \"zwei\"\nzeilen \u2028");
            await _ledger.SendAsync(new PlaceHold(tenant, $"{tenant}ses2", null, BareLedger.Messages(3)));
        }
    }

    [TearDown]
    public async Task TearDownAsync()
    {
        await _ledger.DisposeAsync();
        await _database.DisposeAsync();
    }

    [Test]
    public async Task Intact_books_hold()
    {
        await _ledger.SendAsync(new ReverseTransaction.Command(await _ledger.TopUpAsync(Victim, 5, "wrong"), "a mistake"));
        await _ledger.OpenAccountAsync("ten3", 0);

        Assert.That(await VerifyAsync(), Is.EqualTo((true, "tenants 3, transactions 14, entries 36: all holds\n")));
    }

    [Test]
    public async Task More_transactions_than_are_read_at_once_are_one_chain()
    {
        await _ledger.TogetherAsync(async scope =>
        {
            var postings = (LedgerPostings)scope.GetService(typeof(LedgerPostings))!;
            for (var i = 0; i < 1_050; i++)
            {
                await postings.PostAsync(Victim, "topup", $"many:{i}", null, new { }, [new("available", 1), new("platform:funding", -1)], default);
            }

            return (SharedKernel.Result<SharedKernel.Done>)default(SharedKernel.Done);
        });

        Assert.That((await VerifyAsync()).Sound, Is.True);
        await AsSuperuserAsync("DELETE FROM billing.entries WHERE tenant_id = 'ten2' AND seq = 1030");
        Assert.That((await VerifyAsync()).Text, Does.Contain("(number 1030): its hash"));
    }

    // Each is done by a superuser, past triggers, foreign keys and row security.
    [TestCase("UPDATE billing.entries SET amount = amount + 1 WHERE tenant_id = 'ten2' AND seq = 2 AND position = 1", "(number 2): its hash is not that of what it says")]
    [TestCase("UPDATE billing.entries SET quantity = 1 WHERE tenant_id = 'ten2' AND component = 'platform'", "(number 4): its hash")]
    [TestCase("UPDATE billing.entries SET balance_after = 0 WHERE tenant_id = 'ten2' AND seq = 3 AND position = 2", "(number 3): its hash")]
    [TestCase("UPDATE billing.entries SET posted_at = posted_at - interval '1 day' WHERE tenant_id = 'ten2' AND seq = 3 AND position = 2", "(number 3): entry")]
    [TestCase("UPDATE billing.entries SET tenant_id = 'ten3' WHERE tenant_id = 'ten2' AND seq = 3 AND position = 2", "(number 3): entry")]
    [TestCase("UPDATE billing.transactions SET metadata = '{}' WHERE tenant_id = 'ten2' AND seq = 5", "(number 5): its hash")]
    [TestCase("UPDATE billing.transactions SET effective_at = effective_at - interval '1 microsecond' WHERE tenant_id = 'ten2' AND seq = 5", "(number 5): its hash")]
    [TestCase("DELETE FROM billing.entries WHERE tenant_id = 'ten2' AND seq = 3", "(number 3): its hash")]
    [TestCase("DELETE FROM billing.transactions WHERE tenant_id = 'ten2' AND seq = 3", "(number 4): it follows number 2: what was between them is missing")]
    [TestCase("DELETE FROM billing.transactions WHERE tenant_id = 'ten2' AND seq = 6", "its account counts 6 transactions, and there are 5")]
    [TestCase("UPDATE billing.transactions SET seq = CASE seq WHEN 2 THEN -5 ELSE 2 END WHERE tenant_id = 'ten2' AND seq IN (2, 5); UPDATE billing.transactions SET seq = 5 WHERE tenant_id = 'ten2' AND seq = -5", "(number 2): ")]
    [TestCase("UPDATE billing.heads SET available = available + 1000000 WHERE tenant_id = 'ten2'", "its account says ")]
    [TestCase("UPDATE billing.heads SET held = held + 5, available = available - 5 WHERE tenant_id = 'ten2'", "its account says ")]
    [TestCase("UPDATE billing.heads SET hash = sha256('') WHERE tenant_id = 'ten2'", "its account has another hash than its last transaction")]
    [TestCase("UPDATE billing.heads SET posted_at = posted_at - interval '1 second' WHERE tenant_id = 'ten2'", "its account is older than its last transaction")]
    [TestCase("DELETE FROM billing.heads WHERE tenant_id = 'ten2'", "its account is gone")]
    [TestCase("INSERT INTO billing.entries (id, transaction_id, tenant_id, seq, position, account, amount, balance_after, posted_at) VALUES ('e', 'none', 'ten2', 7, 1, 'available', 5, 9, now())", "it has 17 entries, of which 16 belong to its transactions")]
    [TestCase("UPDATE billing.holds SET amount = amount + 1 WHERE tenant_id = 'ten2' AND status = 'active'", "its active holds are 30001 in all, and 30000 is held")]
    [TestCase("UPDATE billing.holds SET transaction_id = 'none' WHERE tenant_id = 'ten2' AND status = 'settled'", "is over without the transaction that ended it")]
    public async Task Whoever_changes_what_is_written_is_found(string sql, string said)
    {
        await AsSuperuserAsync(sql);

        var (sound, text) = await VerifyAsync();
        Assert.That(sound, Is.False);
        Assert.That(text, Does.StartWith("ten2: ").And.Contain(said).And.EndWith(": 1 broken\n"));
    }

    [Test]
    public async Task A_chain_that_is_cut_and_written_anew_is_betrayed_by_the_statement_that_was_kept()
    {
        await AsSuperuserAsync(
            """
            INSERT INTO billing.statements (tenant_id, month, closed_at, statement)
            SELECT tenant_id, '2026-01-01', now(), jsonb_build_object('last', jsonb_build_object('seq', seq, 'transaction_id', id, 'hash', encode(hash, 'hex'))) FROM billing.transactions WHERE tenant_id = 'ten2' AND seq = 6
            """);
        Assert.That((await VerifyAsync()).Sound, Is.True);
        await AsSuperuserAsync(
            """
            DELETE FROM billing.entries WHERE tenant_id = 'ten2' AND seq = 6; DELETE FROM billing.transactions WHERE tenant_id = 'ten2' AND seq = 6; DELETE FROM billing.holds WHERE subject_id = 'ten2ses2';
            UPDATE billing.heads h SET seq = 5, hash = t.hash, available = available + 30000, held = 0 FROM billing.transactions t WHERE h.tenant_id = 'ten2' AND t.tenant_id = 'ten2' AND t.seq = 5
            """);

        Assert.That((await VerifyAsync()).Text, Does.StartWith("ten2: the statement of 2026-01 names transaction 6 with another hash"));
    }

    [Test]
    public async Task One_tenant_is_judged_alone_and_one_that_nobody_knows_is_said()
    {
        await AsSuperuserAsync("UPDATE billing.heads SET available = 0 WHERE tenant_id = 'ten2'");

        Assert.That(await VerifyAsync(Honest), Is.EqualTo((true, "tenants 1, transactions 6, entries 16: all holds\n")));
        Assert.That((await VerifyAsync(Victim)).Sound, Is.False);
        Assert.That(await VerifyAsync("ten9"), Is.EqualTo((false, "The ledger knows no tenant ten9.\n")));
    }

    [Test]
    public async Task The_hosts_verb_exits_with_0_only_if_all_holds()
    {
        Assert.That(await RunHostAsync(), Is.EqualTo((0, "tenants 2, transactions 12, entries 32: all holds\n")));
        await AsSuperuserAsync("UPDATE billing.heads SET available = 0 WHERE tenant_id = 'ten2'");
        var (code, text) = await RunHostAsync();
        Assert.That(code, Is.EqualTo(1));
        Assert.That(text, Does.StartWith("ten2: its account says 0 available"));
    }

    [Test]
    public async Task The_worked_example_of_the_documentation_is_right()
    {
        var document = await File.ReadAllTextAsync(Path.Combine(Sources.Folder, "docs", "billing.md"));
        var examples = Example.Matches(document);
        Assert.That(examples, Has.Count.EqualTo(2));
        byte[] hash = [];
        foreach (Match example in examples)
        {
            var lines = example.Groups["lines"].Value;
            var fields = lines.Split('\n', StringSplitOptions.RemoveEmptyEntries);
            var transaction = new WrittenTransaction(
                fields[1], fields[2], Number(fields[3])!.Value, fields[4], fields[5], At(fields[6]), At(fields[7]), fields[8], []);
            var entries = fields[9..].Select(line => line.Split('|')).Select(e => new WrittenEntry(
                e[0], e[1], Number(e[2])!.Value, Number(e[3]), Text(e[4]), Number(e[5]), Text(e[6]), Number(e[7]), Number(e[8]), Text(e[9]))).ToList();
            Assert.That(Chain.Encode(transaction, entries), Is.EqualTo(lines));

            hash = System.Security.Cryptography.SHA256.HashData([.. hash, .. System.Text.Encoding.UTF8.GetBytes(lines)]);
            Assert.That(Convert.ToHexStringLower(hash), Is.EqualTo(example.Groups["hash"].Value));
        }

        static string? Text(string field) => field.Length == 0 ? null : field;
        static long? Number(string field) => field.Length == 0 ? null : long.Parse(field, CultureInfo.InvariantCulture);
        static DateTime At(string microseconds) => DateTime.UnixEpoch.AddTicks(Number(microseconds)!.Value * 10);
    }

    [GeneratedRegex(@"```text\n(?<lines>v1\n[^`]*)```\n\n    [^\n]*\n    (?<hash>[0-9a-f]{64})\n", RegexOptions.ExplicitCapture)]
    private static partial Regex Example { get; }

    private async Task<(bool Sound, string Text)> VerifyAsync(string? tenant = null)
    {
        await using var output = new StringWriter { NewLine = "\n" };
        return (await BillingModule.VerifyLedgerAsync(_ledger.Source, tenant, output, CancellationToken.None), output.ToString());
    }

    private async Task<(int Code, string Text)> RunHostAsync()
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "VoicePlatform.Host.dll"), "verify-ledger"]) { UseShellExecute = false, RedirectStandardOutput = true };
        start.Environment["DATABASE_URL"] = _database.App;
        using var host = Process.Start(start)!;
        var text = await host.StandardOutput.ReadToEndAsync();
        await host.WaitForExitAsync();
        return (host.ExitCode, text);
    }

    private async Task AsSuperuserAsync(string sql)
    {
        await using var superuser = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(_database.Owner) { Username = "postgres" }.ConnectionString);
        await using var command = superuser.CreateCommand($"SET session_replication_role = replica; {sql}");
        await command.ExecuteNonQueryAsync();
    }
}
