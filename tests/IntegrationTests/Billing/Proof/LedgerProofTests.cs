using System.Collections.Concurrent;
using System.Diagnostics;
using FsCheck;
using FsCheck.Fluent;
using Npgsql;
using VoicePlatform.Billing;
using VoicePlatform.Billing.Ledger;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Billing.Proof;

/// <summary>
/// Random operations from many connections in several processes, some of which are killed, as are their connections' server processes: then whether
/// the ledger is what the rules make of what was asked. A failure names its seed; LEDGER_PROOF_SEED runs that one again (the interleaving differs,
/// the operations do not).
/// </summary>
internal sealed class LedgerProofTests
{
    private const int LanesHere = 8;
    private const int Processes = 2;
    private const int LanesOfAProcess = 4;

    [Test]
    public async Task The_books_are_right_whoever_dies()
    {
        var played = await ProveAsync(Seed() ?? (ulong)Random.Shared.NextInt64(), operations: 320, kills: 3);
        Assert.That(played.Kinds, Is.SupersetOf(new[] { "topup", "promotional", "hold", "extend", "charge", "release", "reversal", "adjustment", "expiry" }), "Something was to be proved.");
    }

    [Test]
    [Explicit("Takes as many minutes as LEDGER_PROOF_MINUTES says (5).")]
    public async Task The_books_are_right_for_long()
    {
        var minutes = int.Parse(Environment.GetEnvironmentVariable("LEDGER_PROOF_MINUTES") ?? "5", null);
        var clock = Stopwatch.StartNew();
        for (var run = 1; clock.Elapsed < TimeSpan.FromMinutes(minutes); run++)
        {
            var played = await ProveAsync((ulong)Random.Shared.NextInt64(), operations: 1_500, kills: 6);
            await TestContext.Progress.WriteLineAsync($"{run}: {played}");
        }
    }

    [TestCase("billing.post", "d_available < 0 AND", "false AND")]
    [TestCase("billing.post", "tenant_id = p_tenant FOR UPDATE", "tenant_id = p_tenant")]
    [TestCase("billing.settle_hold", "greatest(head.available + head.credit_limit, 0)", "greatest(head.available, 0)")]
    [TestCase("billing.settle_hold", "h.status <> 'active'", "false")]
    [TestCase("billing.extend_hold", "SET amount = target", "SET amount = amount")]
    [TestCase("billing.expire_grant", "billing.kept_for_holds(g, head.held)", "0")]
    [TestCase("billing.draw", "ORDER BY expires_at, transaction_id", "ORDER BY transaction_id")]
    [TestCase("billing.charge_late", "greatest(head.available + head.credit_limit, 0)", "cost")]
    [Explicit("Proves the proof: it must fail on a ledger that is wrong.")]
    public void A_ledger_that_is_wrong_is_found(string function, string right, string wrong)
    {
        var sabotage =
            $"""
            DO $do$ DECLARE d text := pg_get_functiondef('{function}'::regproc); BEGIN
              IF position($x${right}$x$ IN d) = 0 THEN RAISE 'the function no longer says so'; END IF;
              EXECUTE replace(d, $x${right}$x$, $x${wrong}$x$);
            END $do$
            """;
        Assert.That(
            async () => await ProveAsync((ulong)Random.Shared.NextInt64(), operations: 350, kills: 1, sabotage),
            Throws.InstanceOf<WrongBooksException>());
    }

    private static ulong? Seed() => Environment.GetEnvironmentVariable("LEDGER_PROOF_SEED") is { } seed ? ulong.Parse(seed, null) : null;

    private static async Task<Played> ProveAsync(ulong seed, int operations, int kills, string? sabotage = null)
    {
        await TestContext.Out.WriteLineAsync($"LEDGER_PROOF_SEED={seed}");
        await using var database = await TestDatabase.CreateAsync();
        await using var ledger = new BareLedger(database.App);
        await using var superuser = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(database.Owner) { Username = "postgres" }.ConnectionString);
        foreach (var (tenant, opening, creditLimit) in Scenario.Tenants)
        {
            await ledger.OpenAccountAsync(tenant, opening);
            await superuser.CreateCommand($"UPDATE billing.heads SET credit_limit = {creditLimit} WHERE tenant_id = '{tenant}'").ExecuteNonQueryAsync();
        }

        if (sabotage is not null)
        {
            await superuser.CreateCommand(sabotage).ExecuteNonQueryAsync();
        }

        var scenario = Scenario.Generator(operations).Sample(1, new Rnd(seed), 1).Single();
        var run = new Run(ledger, superuser, database.App, new Random((int)(seed & int.MaxValue)));
        await run.PlayAsync(scenario, kills);

        var asked = scenario.Operations.SelectMany(o => o.Steps).Distinct().ToList();
        List<TenantModel> models = [.. Scenario.Tenants.Select(t => new TenantModel(t.Tenant, t.CreditLimit, [.. asked.Where(s => s.Tenant == t.Tenant)]))];
        var problems = await FollowAsync(ledger, models);
        if (problems.Count == 0)
        {
            // What was played twice, or by somebody who died, may have been done the other time.
            var neverDone = run.Endings.GroupBy(e => e.Operation.Id).Where(times => times.All(e => e is { IsCertain: true, Ending.Refusal: not null })).Select(times => times.Key).ToHashSet();
            problems.AddRange(run.Endings.SelectMany(e =>
                Contradictions(e.Operation, e.Ending, neverDone.Contains(e.Operation.Id), models.Single(m => m.Tenant == e.Operation.Steps[0].Tenant))));
            problems.AddRange(await CompareAsync(ledger, models));
            problems.AddRange(await AskAgainAsync(ledger, asked, models));
        }

        if (problems.Count > 0)
        {
            throw new WrongBooksException($"LEDGER_PROOF_SEED={seed}\n{string.Join('\n', problems)}");
        }

        return run.Count(models);
    }

    /// <summary>Every transaction is one that was asked for, follows from what was before, and is right to the last entry.</summary>
    private static async Task<List<string>> FollowAsync(BareLedger ledger, IReadOnlyList<TenantModel> models)
    {
        var problems = new List<string>();
        foreach (var model in models)
        {
            var (seq, previous) = (0L, Array.Empty<byte>());
            foreach (var (t, entries) in await WrittenAsync(ledger, model.Tenant))
            {
                if (t.Seq != ++seq || !Chain.Hash(previous, t, entries).SequenceEqual(t.Hash))
                {
                    problems.Add($"{t.Id}: the chain is broken");
                }

                previous = t.Hash;
                if (model.Add(t, entries) is { } problem)
                {
                    problems.Add(problem);
                    break;
                }
            }
        }

        return problems;
    }

    /// <summary>What was answered is what is written; what was refused left nothing.</summary>
    private static IEnumerable<string> Contradictions(Operation operation, Ending ending, bool isNeverDone, TenantModel model)
    {
        foreach (var (step, n) in operation.Steps.Select((s, n) => (s, n)))
        {
            var key = step.Asks switch
            {
                Asks.TopUp => $"topup:{step.Name}",
                Asks.Grant => $"grant:{step.Name}",
                Asks.Hold => $"hold:{step.Name}",
                Asks.Settle => $"end:{step.Name}",
                Asks.Late => $"late:{Scenario.LateKey(step.Name, step.Amount)}",
                _ => null,
            };
            var exists = key is not null && model.Known.ContainsKey(key);
            if (ending.Refusal is not null)
            {
                // What was bought or has happened is booked, whatever the balance.
                if (operation.Steps.All(s => s.Asks is Asks.TopUp or Asks.Grant or Asks.Settle or Asks.Late or Asks.Expire)
                    || ending.Refusal is not ("billing.insufficient_credits" or "billing.expired_already" or "billing.already_reversed" or "billing.not_reversible" or "billing.reversal_not_covered"))
                {
                    yield return $"{step} was refused: {ending.Refusal}";
                }

                if (isNeverDone && step.Asks is (Asks.TopUp or Asks.Grant) && exists)
                {
                    yield return $"{step} was refused with the rest of its transaction, and is there";
                }

                continue;
            }

            var told = ending.Told[n];
            if ((step.Asks is Asks.TopUp or Asks.Grant or Asks.Hold && !exists) || (told.TransactionId is { } id && model.Known.Values.All(k => k.Transaction.Id != id)))
            {
                yield return $"{step} was done, and is not there";
            }
            else if (told.TransactionId is not null && key is not null && model.Known[key].Transaction.Id != told.TransactionId)
            {
                yield return $"{step} was told {told.TransactionId}, and it was {model.Known[key].Transaction.Id}";
            }
            else if (told.Cost is { } cost && cost != (told.TransactionId is null ? 0 : model.Charged(told.TransactionId)))
            {
                yield return $"{step} was told a cost of {cost}, and it was {model.Charged(told.TransactionId!)}";
            }
            else if (told.Available is { } available && model.Known.Values.Single(k => k.Transaction.Id == told.TransactionId).Available != available)
            {
                yield return $"{step} was told {available} available";
            }
        }
    }

    /// <summary>Kept balances, holds and both verifiers agree with the model.</summary>
    private static async Task<List<string>> CompareAsync(BareLedger ledger, IReadOnlyList<TenantModel> models)
    {
        var problems = new List<string>();
        foreach (var model in models)
        {
            var kept = await ledger.ScalarAsync<string>($"SELECT available || ' ' || held || ' ' || seq FROM billing.heads WHERE tenant_id = '{model.Tenant}'");
            if (kept != $"{model.Available} {model.Held} {model.Known.Count}" || model.Held != model.Holds.Values.Where(h => h.End is null).Sum(h => h.Amount))
            {
                problems.Add($"{model.Tenant} has {kept}, should have {model.Available} {model.Held} {model.Known.Count}");
            }

            if (await ledger.ScalarAsync<object>($"SELECT first_broken FROM billing.verify('{model.Tenant}')") is string broken)
            {
                problems.Add($"billing.verify: {broken}");
            }

            problems.AddRange(await WrongGrantsAsync(ledger, model));
            var holds = new Dictionary<string, (long, string, string?)>();
            await using var query = ledger.Source.CreateCommand($"SELECT subject_id, amount, status, transaction_id FROM billing.holds WHERE tenant_id = '{model.Tenant}'");
            await using var row = await query.ExecuteReaderAsync();
            while (await row.ReadAsync())
            {
                holds[row.GetString(0)] = (row.GetInt64(1), row.GetString(2), row.IsDBNull(3) ? null : row.GetString(3));
            }

            var expected = model.Holds.ToDictionary(
                h => h.Key, h => (h.Value.Amount, h.Value.End is null ? "active" : h.Value.End.Kind == "charge" ? "settled" : "released", h.Value.End?.Id));
            problems.AddRange(holds.Except(expected).Select(h => $"hold {h} should not be so"));
            problems.AddRange(expected.Except(holds).Select(h => $"hold {h} is missing"));
        }

        if (await ledger.ScalarAsync<decimal>("SELECT coalesce(sum(amount), 0) FROM billing.entries") is not 0)
        {
            problems.Add("all entries together are not zero");
        }

        await using var said = new StringWriter();
        if (!await BillingModule.VerifyLedgerAsync(ledger.Source, null, said, CancellationToken.None))
        {
            problems.Add(said.ToString());
        }

        return problems;
    }

    private static async Task<List<string>> WrongGrantsAsync(BareLedger ledger, TenantModel model)
    {
        var problems = new List<string>();
        var count = 0;
        await using var query = ledger.Source.CreateCommand($"SELECT transaction_id, amount, remaining, expired FROM billing.grants WHERE tenant_id = '{model.Tenant}'");
        await using var row = await query.ExecuteReaderAsync();
        for (; await row.ReadAsync(); count++)
        {
            var given = model.Grants[row.GetString(0)];
            var (amount, left, expired) = (row.GetInt64(1), row.GetInt64(2), row.GetInt64(3));
            if (amount != given.Amount || expired != given.Expired || (model.MayHaveClosed ? left > given.Amount - given.Expired : left != given.Left))
            {
                problems.Add($"grant {given.Key} of {amount} has {left} left and {expired} expired, should have {given.Left} and {given.Expired} of {given.Amount}");
            }
        }

        if (count != model.Grants.Count)
        {
            problems.Add($"{model.Tenant} has {count} grants, should have {model.Grants.Count}");
        }

        return problems;
    }

    /// <summary>Whoever asks a second time for what was done changes nothing and is told the same.</summary>
    private static async Task<List<string>> AskAgainAsync(BareLedger ledger, IReadOnlyList<Step> asked, IReadOnlyList<TenantModel> models)
    {
        const string State = "SELECT string_agg(h::text, ' ' ORDER BY tenant_id) || (SELECT count(*) || ' ' || sum(amount) FROM billing.holds) FROM billing.heads h";
        var problems = new List<string>();
        var before = await ledger.ScalarAsync<string>(State);
        foreach (var step in asked)
        {
            var model = models.Single(m => m.Tenant == step.Tenant);
            var cost = TenantModel.Cost(step.Amount);
            var isDone = step.Asks switch
            {
                Asks.TopUp => model.Known.ContainsKey($"topup:{step.Name}"),
                Asks.Hold => model.Known.ContainsKey($"hold:{step.Name}"),
                Asks.Extend => model.Known.ContainsKey($"extend:{step.Name}:{cost}"),
                Asks.Settle => model.Known.ContainsKey($"end:{step.Name}"),
                Asks.Grant => model.Known.ContainsKey($"grant:{step.Name}"),
                Asks.Late => model.Known.ContainsKey($"late:{Scenario.LateKey(step.Name, step.Amount)}"),
                Asks.Expire => false,       // The job comes by again and again; what it finds then is new.
                _ => model.Known.TryGetValue(step.Name, out var target) && model.Known.ContainsKey($"reversal:{target.Transaction.Id}"),
            };
            if (isDone)
            {
                var operation = new Operation(-1, [step], null);
                var ending = await Player.PlayAsync(ledger, operation, _ => Task.CompletedTask);
                problems.AddRange(ending is null ? [$"{step} asked again lost its connection"] : Contradictions(operation, ending, isNeverDone: false, model));
            }
        }

        if (await ledger.ScalarAsync<string>(State) != before)
        {
            problems.Add("to ask again changed something");
        }

        return problems;
    }

    private static async Task<List<(WrittenTransaction Transaction, List<WrittenEntry> Entries)>> WrittenAsync(BareLedger ledger, string tenant)
    {
        var written = new List<(WrittenTransaction, List<WrittenEntry>)>();
        await using var query = ledger.Source.CreateCommand(
            """
            SELECT t.id, t.seq, t.kind, t.idempotency_key, t.posted_at, t.effective_at, t.metadata::text, t.hash,
              e.id, e.account, e.amount, e.balance_after, e.component, e.quantity, e.unit, e.rate, e.per, e.rate_card
            FROM billing.transactions t JOIN billing.entries e ON e.transaction_id = t.id WHERE t.tenant_id = $1 ORDER BY t.seq, e.position
            """);
        query.Parameters.Add(new() { Value = tenant });
        await using var row = await query.ExecuteReaderAsync();
        while (await row.ReadAsync())
        {
            if (written.Count == 0 || written[^1].Item1.Id != row.GetString(0))
            {
                written.Add((new(row.GetString(0), tenant, row.GetInt64(1), row.GetString(2), row.GetString(3), row.GetDateTime(4), row.GetDateTime(5), row.GetString(6), row.GetFieldValue<byte[]>(7)), []));
            }

            written[^1].Item2.Add(new(row.GetString(8), row.GetString(9), row.GetInt64(10), Number(11), Text(12), Number(13), Text(14), Number(15), Number(16), Text(17)));
        }

        return written;

        string? Text(int column) => row.IsDBNull(column) ? null : row.GetString(column);
        long? Number(int column) => row.IsDBNull(column) ? null : row.GetInt64(column);
    }

    private sealed class WrongBooksException(string problems) : Exception(problems);

    private sealed record Played(int Transactions, IReadOnlyCollection<string> Kinds, int Refused, int ProcessesKilled, int ConnectionsKilled, int AskedAgain)
    {
        public override string ToString() =>
            $"{Transactions} transactions, {Refused} operations refused, {ProcessesKilled} processes and {ConnectionsKilled} connections killed, {AskedAgain} operations asked again because nobody knew";
    }

    /// <summary>Lanes of this process and of others, which take operations one after the other, and those who kill.</summary>
    private sealed class Run(BareLedger ledger, NpgsqlDataSource superuser, string database, Random random)
    {
        private readonly ConcurrentQueue<Operation> _waiting = new();
        private int _processesKilled;
        private int _connectionsKilled;
        private int _askedAgain;

        public ConcurrentBag<(Operation Operation, Ending Ending, bool IsCertain)> Endings { get; } = [];

        public async Task PlayAsync(Scenario scenario, int kills)
        {
            foreach (var operation in scenario.Operations)
            {
                _waiting.Enqueue(operation);
            }

            using var over = new CancellationTokenSource();
            var killing = KillConnectionsAsync(over.Token);
            await Task.WhenAll([
                .. Enumerable.Range(0, LanesHere).Select(_ => Task.Run(() => LaneAsync(PlayHereAsync))),
                .. Enumerable.Range(0, Processes).Select(_ => Task.Run(() => PlayInProcessesAsync(kills))),
            ]);
            await over.CancelAsync();
            await killing;
            ledger.Source.Clear();      // Among its connections are dead ones.
        }

        public Played Count(IReadOnlyList<TenantModel> models) => new(
            models.Sum(m => m.Known.Count), [.. models.SelectMany(m => m.Known.Values.Select(k => k.Transaction.Kind)).Distinct()],
            Endings.Count(e => e.Ending.Refusal is not null), _processesKilled, _connectionsKilled, _askedAgain);

        /// <summary>One operation after the other; each until it is known how it ended, as whoever has a request to make does.</summary>
        private async Task LaneAsync(Func<Operation, Task<Ending?>> play)
        {
            while (_waiting.TryDequeue(out var operation))
            {
                var ending = await play(operation);
                var isCertain = ending is not null;
                while (ending is null)
                {
                    Interlocked.Increment(ref _askedAgain);
                    ending = await play(operation with { StopsAfter = null });
                }

                Endings.Add((operation, ending, isCertain));
            }
        }

        private Task<Ending?> PlayHereAsync(Operation operation) => Player.PlayAsync(ledger, operation, async connection =>
        {
            Interlocked.Increment(ref _connectionsKilled);
            await superuser.CreateCommand($"SELECT pg_terminate_backend({connection})").ExecuteNonQueryAsync();
        });

        /// <summary>A process after the other, each killed while it works; the last one may live.</summary>
        private async Task PlayInProcessesAsync(int kills)
        {
            var spare = PlayerProcess.StartAsync(database);
            var current = await PlayerProcess.StartAsync(database);
            var mayStop = kills > 0;
            var lanes = Task.WhenAll(Enumerable.Range(0, LanesOfAProcess).Select(_ => LaneAsync(async operation =>
            {
                var process = Volatile.Read(ref current);
                return await process.PlayAsync(Volatile.Read(ref mayStop) ? operation : operation with { StopsAfter = null });
            })));
            for (var kill = 1; kill <= kills && !lanes.IsCompleted; kill++)
            {
                // In the middle of a transaction, or whenever.
                await Task.WhenAny(current.Stopped, Task.Delay(TimeSpan.FromMilliseconds(Next(20, 400)), TimeProvider.System));
                var victim = current;
                Volatile.Write(ref mayStop, kill < kills);
                Volatile.Write(ref current, await spare);
                await victim.DisposeAsync();
                spare = kill < kills ? PlayerProcess.StartAsync(database) : Task.FromResult(current);
                Interlocked.Increment(ref _processesKilled);
            }

            await lanes;
            await current.DisposeAsync();
            await (await spare).DisposeAsync();
        }

        private async Task KillConnectionsAsync(CancellationToken ct)
        {
            while (!ct.IsCancellationRequested)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(Next(1, 60)), TimeProvider.System, CancellationToken.None);
                await using var kill = superuser.CreateCommand(
                    "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND usename = 'voiceplatform_host' ORDER BY random() LIMIT 1) x");
                Interlocked.Add(ref _connectionsKilled, (int)(long)(await kill.ExecuteScalarAsync(CancellationToken.None))!);
            }
        }

        private int Next(int from, int to)
        {
            lock (random)
            {
                return random.Next(from, to);
            }
        }
    }
}
