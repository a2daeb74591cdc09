using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using MediatR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;
using VoicePlatform.Billing;
using VoicePlatform.Billing.Ledger;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.Host;
using VoicePlatform.SharedKernel;

namespace VoicePlatform.Bench;

/// <summary>
/// Holds that are placed and settled, through the module's code, each posting a statement of its own, beside pgbench calling the same functions with as
/// many clients on the same cluster: over a thousand tenants, and on one that everybody wants. Then how long a posting takes at half that load. Beside it
/// what a unit of work around each posting costs, and what a whole request of Session.
/// </summary>
internal static partial class LedgerBench
{
    private const int Clients = 8;
    private const int Rounds = 3;
    private const int Tenants = 1000;

    // Ids are as long as ours and ascend as ours do.
    private const string Script =
        """
        \set i :i + 1
        \set t random(1, :tenants)
        SELECT billing.place_hold(x.hold, x.first, x.tenant, x.subject, 100000, 'default-2', ARRAY['enta' || x.n, 'entb' || x.n])
        FROM (SELECT 'hld' || n AS hold, 'txnh' || n AS first, 'bench' || :t AS tenant, 'ses' || n AS subject, n FROM (SELECT lpad(:run::text, 5, '0') || lpad(:i::text, 12, '0') || lpad(:client_id::text, 9, '0')) x(n)) x;
        SELECT billing.settle_hold(x.first, x.tenant, x.subject, '{}', jsonb_build_array(
          jsonb_build_object('id', 'entl' || n, 'amount', 20000, 'component', 'message', 'quantity', 2, 'unit', 'message', 'rate', 10000, 'per', 1, 'rate_card', 'default-2'),
          jsonb_build_object('id', 'entm' || n, 'amount', 500000, 'component', 'platform', 'quantity', 30, 'unit', 'second', 'rate', 1000000, 'per', 60, 'rate_card', 'default-2')),
          ARRAY['entx' || n, 'enty' || n, 'entz' || n])
        FROM (SELECT 'txns' || n AS first, 'bench' || :t AS tenant, 'ses' || n AS subject, n FROM (SELECT lpad(:run::text, 5, '0') || lpad(:i::text, 12, '0') || lpad(:client_id::text, 9, '0')) x(n)) x;
        """;

    private static readonly IReadOnlyList<Line> Lines =
    [
        new("platform:revenue", 20_000, "message", 2, "message", 10_000, 1, "default-2"),
        new("platform:revenue", 500_000, "platform", 30, "second", 1_000_000, 60, "default-2"),
    ];

    private static int _runs;

    public static async Task RunAsync(TimeSpan round, CancellationToken ct)
    {
        var dataDir = Directory.CreateTempSubdirectory("bench-").FullName;
        await Machine.RunAsync("eng/postgres", "start", dataDir);
        try
        {
            var owner = (await Machine.RunAsync("eng/postgres", "owner-url", dataDir)).Trim();
            await HostProcess.MigrateAsync(dataDir, owner, ct);
            await using (var source = NpgsqlDataSource.Create(owner))
            {
                await OpenAccountsAsync(source, ct);
            }

            await using var ours = new Module((await Machine.RunAsync("eng/postgres", "url", dataDir)).Trim());
            var pgbench = new Pgbench(dataDir, owner);
            var many = await CompareAsync($"{Tenants} tenants", Tenants, 0.7, ours, pgbench, round, ct);
            var hot = await CompareAsync("one tenant", 1, 0.5, ours, pgbench, round, ct);
            await LatencyAsync($"{Tenants} tenants", Tenants, many / 2, ours, round * 2, ct);
            await LatencyAsync("one tenant", 1, hot / 2, ours, round * 2, ct);
            Console.WriteLine();
            await BillingModule.VerifyLedgerAsync(ours.Source, null, Console.Out, ct);
        }
        finally
        {
            await HostProcess.RemoveClusterAsync(dataDir);
        }
    }

    private static async Task<double> CompareAsync(string name, int tenants, double target, Module ours, Pgbench pgbench, TimeSpan round, CancellationToken ct)
    {
        var (module, united, asked, plain) = (new Figures(), new Figures(), new Figures(), new Figures());
        await Module.FullSpeedAsync(tenants, ours.PairAsync, TimeSpan.FromSeconds(2), ct);
        await pgbench.RunAsync(tenants, TimeSpan.FromSeconds(2));
        for (var i = 0; i < Rounds; i++)
        {
            module.Add(await Module.FullSpeedAsync(tenants, ours.PairAsync, round, ct));
            plain.Add(await pgbench.RunAsync(tenants, round));
            united.Add(await Module.FullSpeedAsync(tenants, ours.UnitedPairAsync, round, ct));
            asked.Add(await Module.FullSpeedAsync(tenants, ours.AskedPairAsync, round, ct));
        }

        var (a, b) = (module.Percentile(0.5), plain.Percentile(0.5));
        Console.WriteLine($"{name,-12} {a,6:0} holds and settlements a second, pgbench {b,6:0}: {a / b,5:P0}   target: >= {target:P0}   (medians of {Rounds} rounds, {Clients} clients)");
        Console.WriteLine($"{"",-12} {united.Percentile(0.5),6:0} in a unit of work each: {united.Percentile(0.5) / b,5:P0}");
        Console.WriteLine($"{"",-12} {asked.Percentile(0.5),6:0} as Session asks for them, prices read and computed");
        return a;
    }

    private static async Task LatencyAsync(string name, int tenants, double aSecond, Module ours, TimeSpan duration, CancellationToken ct)
    {
        // Its connections are there, as they are in a host that has run for a minute.
        await ours.SteadyAsync(tenants, aSecond, TimeSpan.FromSeconds(2), ct);
        var took = await ours.SteadyAsync(tenants, aSecond, duration, ct);
        Console.WriteLine($"{name,-12} at {aSecond:0} a second, one posting: p50 {took.Percentile(0.5):0.0}   p99 {took.Percentile(0.99):0.0}   max {took.Percentile(1):0.0} ms   target: p99 < 50   ({took.Count})");
    }

    private static async Task OpenAccountsAsync(NpgsqlDataSource source, CancellationToken ct)
    {
        await using var open = source.CreateCommand(
            """
            SELECT billing.open_account('bench' || i),
              billing.post('txnopening' || i, 'bench' || i, 'topup', 'topup:bench', NULL, '{}', jsonb_build_array(
                jsonb_build_object('id', 'enta' || i, 'account', 'available', 'amount', 1000000000000), jsonb_build_object('id', 'entb' || i, 'account', 'platform:funding', 'amount', -1000000000000)))
            FROM generate_series(1, $1) i
            """);
        open.Parameters.Add(new() { Value = Tenants });
        await open.ExecuteNonQueryAsync(ct);
    }

    /// <summary>The billing module without a host around it.</summary>
    private sealed class Module : IAsyncDisposable
    {
        private static readonly IReadOnlyList<Measured> Expected = [new("message", "message", 10)];
        private static readonly IReadOnlyList<Measured> Used = [new("message", "message", 2), new("platform", "second", 30)];

        private readonly IHost _services;
        private readonly Transactions _transactions;

        public Module(string database)
        {
            Source = Settings.DataSource(database);
            var builder = Microsoft.Extensions.Hosting.Host.CreateEmptyApplicationBuilder(new());
            builder.Services.AddLogging();
            builder.Services.AddSharedKernel();
            builder.Services.AddSingleton(Source);
            builder.AddBilling();
            _services = builder.Build();
            _transactions = _services.Services.GetRequiredService<Transactions>();
        }

        public NpgsqlDataSource Source { get; }

        /// <summary>Two postings, each a transaction of its own by being one statement.</summary>
        public async Task PairAsync(string tenant, string subject, CancellationToken ct)
        {
            Check(await AloneAsync(HoldAsync(tenant, subject, ct)));
            Check(await AloneAsync(SettleAsync(tenant, subject, ct)));
        }

        /// <summary>Two postings, each in a unit of work that could hold more.</summary>
        public async Task UnitedPairAsync(string tenant, string subject, CancellationToken ct)
        {
            Check(await UnitedAsync(HoldAsync(tenant, subject, ct), ct));
            Check(await UnitedAsync(SettleAsync(tenant, subject, ct), ct));
        }

        public async Task AskedPairAsync(string tenant, string subject, CancellationToken ct)
        {
            Check(await AskAsync(new PlaceHold(tenant, subject, null, Expected), ct));
            Check(await AskAsync(new SettleHold(tenant, subject, Used), ct));
        }

        /// <summary>Pairs a second of clients that each wait for one before they begin the next.</summary>
        public static async Task<double> FullSpeedAsync(int tenants, Func<string, string, CancellationToken, Task> pair, TimeSpan duration, CancellationToken ct)
        {
            var clock = Stopwatch.StartNew();
            var counts = await Task.WhenAll(Enumerable.Range(0, Clients).Select(_ => Task.Run(async () =>
            {
                var count = 0;
                for (; clock.Elapsed < duration; count++)
                {
                    await pair(RandomTenant(tenants), NewSubject(), ct);
                }

                return count;
            }, ct)));
            return counts.Sum() / clock.Elapsed.TotalSeconds;
        }

        /// <summary>Milliseconds that postings took, begun at a steady rate of pairs however long they take.</summary>
        public async Task<Figures> SteadyAsync(int tenants, double aSecond, TimeSpan duration, CancellationToken ct)
        {
            var clock = Stopwatch.StartNew();
            var pairs = new List<Task<(double, double)>>();
            while (clock.Elapsed < duration)
            {
                for (var due = clock.Elapsed.TotalSeconds * aSecond; pairs.Count < due;)
                {
                    pairs.Add(TimedPairAsync(RandomTenant(tenants), TimeSpan.FromSeconds(pairs.Count / aSecond)));
                }

                await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, ct);
            }

            var took = new Figures();
            foreach (var (hold, settlement) in await Task.WhenAll(pairs))
            {
                took.Add(hold);
                took.Add(settlement);
            }

            return took;

            // From when it was due: who comes late has waited.
            async Task<(double, double)> TimedPairAsync(string tenant, TimeSpan due)
            {
                var subject = NewSubject();
                Check(await AloneAsync(HoldAsync(tenant, subject, ct)));
                var held = clock.Elapsed;
                Check(await AloneAsync(SettleAsync(tenant, subject, ct)));
                return ((held - due).TotalMilliseconds, (clock.Elapsed - held).TotalMilliseconds);
            }
        }

        public async ValueTask DisposeAsync()
        {
            _services.Dispose();
            await Source.DisposeAsync();
        }

        private static Func<LedgerPostings, Task<Result<Posting?>>> HoldAsync(string tenant, string subject, CancellationToken ct) =>
            ledger => ledger.PlaceHoldAsync(Ids.New(Ids.Hold, TimeProvider.System.GetUtcNow()), tenant, subject, null, 100_000, "default-2", ct);

        private static Func<LedgerPostings, Task<Result<Posting?>>> SettleAsync(string tenant, string subject, CancellationToken ct) =>
            ledger => ledger.SettleHoldAsync(tenant, subject, new { }, Lines, ct);

        private async Task<Result<Posting?>> AloneAsync(Func<LedgerPostings, Task<Result<Posting?>>> post)
        {
            await using var scope = _services.Services.CreateAsyncScope();
            return await post(scope.ServiceProvider.GetRequiredService<LedgerPostings>());
        }

        private Task<Result<Posting?>> UnitedAsync(Func<LedgerPostings, Task<Result<Posting?>>> post, CancellationToken ct) =>
            _transactions.RunAsync(new Caller(), (scope, _) => post(scope.GetRequiredService<LedgerPostings>()), ct);

        private async Task<Result<T>> AskAsync<T>(ICommand<T> command, CancellationToken ct)
        {
            await using var scope = _services.Services.CreateAsyncScope();
            return await scope.ServiceProvider.GetRequiredService<IMediator>().Send(command, ct);
        }

        private static void Check<T>(Result<T> result)
        {
            if (!result.IsOk)
            {
                throw new InvalidOperationException(result.Error.Code);
            }
        }

        private static string RandomTenant(int tenants) => $"bench{Random.Shared.Next(tenants) + 1}";

        private static string NewSubject() => Ids.New(Ids.Session, TimeProvider.System.GetUtcNow());
    }

    /// <summary>pgbench of the PostgreSQL that is measured.</summary>
    private sealed partial class Pgbench(string dataDir, string owner)
    {
        private readonly string _program = Directory.GetFiles("/usr/lib/postgresql", "pgbench", SearchOption.AllDirectories).Order(StringComparer.Ordinal).Last();
        private readonly string _sockets = new NpgsqlConnectionStringBuilder(owner).Host!;

        /// <returns>Pairs a second.</returns>
        public async Task<double> RunAsync(int tenants, TimeSpan duration)
        {
            var script = Path.Combine(dataDir, "pairs.sql");
            await File.WriteAllTextAsync(script, Script);
            var said = await Machine.RunAsync(
                _program, "-n", "-h", _sockets, "-U", "voiceplatform_host", "-M", "prepared", "-c", $"{Clients}", "-j", "2", "-T", $"{duration.TotalSeconds:0}",
                "-D", $"tenants={tenants}", "-D", $"run={++_runs}", "-D", "i=0", "-f", script, "voiceplatform");
            return double.Parse(Tps.Match(said).Groups[1].Value, CultureInfo.InvariantCulture);
        }

        [GeneratedRegex(@"tps = ([0-9.]+)")]
        private static partial Regex Tps { get; }
    }
}
