using System.Diagnostics;
using System.Globalization;
using Npgsql;
using NpgsqlTypes;
using VoicePlatform.Billing;
using VoicePlatform.Billing.Ledger;

namespace VoicePlatform.Bench;

/// <summary>
/// A tenant with ten million entries: its balance now and at past instants over REST, a million of its entries as CSV; and how long the verifier needs
/// for a million transactions of another tenant. What it needs of memory beside.
/// </summary>
internal static class BalanceBench
{
    private const int Entries = 10_000_000;
    private const int Exported = 1_000_000;
    private const int Verified = 1_000_000;
    private const int AtOnce = 500_000;

    private static readonly DateTime Start = new(2024, 1, 1, 0, 0, 0, DateTimeKind.Utc);
    private static readonly TimeSpan Apart = TimeSpan.FromSeconds(10);

    public static async Task RunAsync(int requests, CancellationToken ct)
    {
        await using var host = await InProcessHost.StartAsync(ct, null, ("RATE_LIMIT_PER_KEY", "off"), ("BILLING_SIGNUP_CREDITS", "0"));
        var (key, tenant) = await host.SignUpAsync(ct);
        await using var superuser = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(host.Database) { Username = "postgres", CommandTimeout = 0 }.ConnectionString);
        await FillAsync(superuser, tenant, ct);

        Console.WriteLine($"a tenant with {await ScalarAsync(superuser, $"SELECT count(*) FROM billing.entries WHERE tenant_id = '{tenant}'", ct)} entries");
        await BalancesAsync("GET /v1/billing/balance", host, () => "/v1/billing/balance", key, requests, ct);
        await BalancesAsync("GET /v1/billing/balance?at=", host, () => $"/v1/billing/balance?at={At(Random.Shared.Next(Entries / 2)):yyyy-MM-dd'T'HH:mm:ss'Z'}", key, requests, ct);
        await ExportAsync(host, key, Exported / 10, ct);
        await ExportAsync(host, key, Exported, ct);
        await VerifyAsync(superuser, host.Database, ct);
    }

    private static async Task BalancesAsync(string name, InProcessHost host, Func<string> path, string key, int requests, CancellationToken ct)
    {
        var took = new Figures();
        for (var i = -requests / 10; i < requests; i++)
        {
            var clock = Stopwatch.StartNew();
            await host.SendAsync(HttpMethod.Get, path(), key, null, ct);
            if (i >= 0)
            {
                took.Add(clock.Elapsed.TotalMilliseconds);
            }
        }

        Console.WriteLine($"{name,-28} p50 {took.Percentile(0.5):0.0}   p99 {took.Percentile(0.99):0.0}   max {took.Percentile(1):0.0} ms   target: p99 <= 5   ({took.Count})");
    }

    private static async Task ExportAsync(InProcessHost host, string key, int entries, CancellationToken ct)
    {
        await using var memory = new Memory();
        var clock = Stopwatch.StartNew();
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/v1/billing/export.csv?to={At(entries / 2):yyyy-MM-dd'T'HH:mm:ss'Z'}");
        request.Headers.TryAddWithoutValidation("x-api-key", key);
        using var response = await host.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
        response.EnsureSuccessStatusCode();
        await using var body = await response.Content.ReadAsStreamAsync(ct);
        var buffer = new byte[64 * 1024];
        var (lines, bytes) = (-1L, 0L);
        for (int read; (read = await body.ReadAsync(buffer, ct)) > 0; bytes += read)
        {
            lines += buffer.AsSpan(0, read).Count((byte)'\n');
        }

        Console.WriteLine($"GET /v1/billing/export.csv    {lines} entries, {bytes / 1e6:0} MB: {lines / clock.Elapsed.TotalSeconds:0} a second; {await memory.PeakAsync()}");
    }

    private static async Task VerifyAsync(NpgsqlDataSource superuser, string database, CancellationToken ct)
    {
        await FillVerifiableAsync(superuser, ct);
        await using var source = NpgsqlDataSource.Create(database);
        await using var memory = new Memory();
        var clock = Stopwatch.StartNew();
        await using var said = new StringWriter();
        var sound = await BillingModule.VerifyLedgerAsync(source, "tenverified", said, ct);
        Console.WriteLine($"verify-ledger                 {said.ToString().Trim()}; {Verified / clock.Elapsed.TotalSeconds:0} transactions a second; {await memory.PeakAsync()}");
        if (!sound)
        {
            throw new InvalidOperationException(said.ToString());
        }
    }

    /// <summary>Holds and releases of a hundred micro-credits, in turns: available, held; held, available. Past triggers and foreign keys, as only a superuser may.</summary>
    private static async Task FillAsync(NpgsqlDataSource superuser, string tenant, CancellationToken ct)
    {
        var clock = Stopwatch.StartNew();
        await using var connection = await superuser.OpenConnectionAsync(ct);
        await ExecuteAsync(connection, "SET session_replication_role = replica; SET synchronous_commit = off", ct);
        for (var from = 1; from <= Entries / 2; from += AtOnce)
        {
            await ExecuteAsync(
                connection,
                $$"""
                INSERT INTO billing.transactions (id, tenant_id, seq, kind, idempotency_key, posted_at, effective_at, metadata, hash)
                SELECT 'txn' || lpad(i::text, 26, '0'), '{{tenant}}', i, CASE WHEN i % 2 = 1 THEN 'hold' ELSE 'release' END, CASE WHEN i % 2 = 1 THEN 'hold' ELSE 'end' END || ':ses' || (i + 1) / 2,
                  at, at, jsonb_build_object('subject_id', 'ses' || lpad(((i + 1) / 2)::text, 26, '0'), 'rate_card', 'default-2'), sha256(i::text::bytea)
                FROM generate_series({{from}}, {{from + AtOnce - 1}}) i, LATERAL (SELECT timestamptz '{{Start:yyyy-MM-dd}}Z' + i * interval '{{Apart.TotalSeconds}} s') x(at);
                INSERT INTO billing.entries (id, transaction_id, tenant_id, seq, position, account, amount, balance_after, posted_at)
                SELECT 'ent' || lpad((i * 2 + position)::text, 26, '0'), 'txn' || lpad(i::text, 26, '0'), '{{tenant}}', i, position, CASE WHEN (i + position) % 2 = 0 THEN 'available' ELSE 'held' END,
                  CASE WHEN position = 1 THEN -100 ELSE 100 END, CASE WHEN (i + position) % 2 = 0 THEN 1000 - i % 2 * 100 ELSE i % 2 * 100 END, timestamptz '{{Start:yyyy-MM-dd}}Z' + i * interval '{{Apart.TotalSeconds}} s'
                FROM generate_series({{from}}, {{from + AtOnce - 1}}) i, generate_series(1, 2) position
                """, ct);
        }

        await ExecuteAsync(connection, $"UPDATE billing.heads SET seq = {Entries / 2}, posted_at = '{At(Entries / 2):O}', available = 1000, held = 0 WHERE tenant_id = '{tenant}'", ct);
        await ExecuteAsync(connection, "VACUUM (ANALYZE) billing.entries", ct);
        await ExecuteAsync(connection, "VACUUM (ANALYZE) billing.transactions", ct);
        await ExecuteAsync(connection, "CHECKPOINT", ct);
        Console.WriteLine($"made in {clock.Elapsed.TotalSeconds:0} s, {await ScalarAsync(superuser, "SELECT pg_size_pretty(pg_database_size(current_database()))", ct)}");
    }

    /// <summary>Top-ups of one micro-credit, each with its hash.</summary>
    private static async Task FillVerifiableAsync(NpgsqlDataSource superuser, CancellationToken ct)
    {
        const string Tenant = "tenverified";
        byte[] hash = [];
        await using var transactions = await superuser.OpenConnectionAsync(ct);
        await using var entries = await superuser.OpenConnectionAsync(ct);
        foreach (var connection in new[] { transactions, entries })
        {
            await ExecuteAsync(connection, "SET session_replication_role = replica; SET synchronous_commit = off", ct);
        }

        await using (var t = await transactions.BeginBinaryImportAsync("COPY billing.transactions (id, tenant_id, seq, kind, idempotency_key, posted_at, effective_at, metadata, hash) FROM STDIN (FORMAT binary)", ct))
        await using (var e = await entries.BeginBinaryImportAsync("COPY billing.entries (id, transaction_id, tenant_id, seq, position, account, amount, balance_after, posted_at) FROM STDIN (FORMAT binary)", ct))
        {
            for (var seq = 1L; seq <= Verified; seq++)
            {
                var transaction = new WrittenTransaction($"txnv{seq:D25}", Tenant, seq, "topup", $"topup:{seq}", At(seq), At(seq), $$"""{"external_reference": "{{seq}}"}""", []);
                WrittenEntry[] moved =
                [
                    new($"entv{seq:D25}", "available", 1, seq, null, null, null, null, null, null), new($"entw{seq:D25}", "platform:funding", -1, null, null, null, null, null, null, null),
                ];
                hash = Chain.Hash(hash, transaction, moved);
                await t.StartRowAsync(ct);
                await t.WriteAsync(transaction.Id, ct);
                await t.WriteAsync(Tenant, ct);
                await t.WriteAsync(seq, ct);
                await t.WriteAsync(transaction.Kind, ct);
                await t.WriteAsync(transaction.IdempotencyKey, ct);
                await t.WriteAsync(transaction.PostedAt, ct);
                await t.WriteAsync(transaction.EffectiveAt, ct);
                await t.WriteAsync(transaction.Metadata, NpgsqlDbType.Jsonb, ct);
                await t.WriteAsync(hash, ct);
                for (var position = 0; position < moved.Length; position++)
                {
                    await e.StartRowAsync(ct);
                    await e.WriteAsync(moved[position].Id, ct);
                    await e.WriteAsync(transaction.Id, ct);
                    await e.WriteAsync(Tenant, ct);
                    await e.WriteAsync(seq, ct);
                    await e.WriteAsync((short)(position + 1), ct);
                    await e.WriteAsync(moved[position].Account, ct);
                    await e.WriteAsync(moved[position].Amount, ct);
                    if (moved[position].BalanceAfter is { } balance)
                    {
                        await e.WriteAsync(balance, ct);
                    }
                    else
                    {
                        await e.WriteNullAsync(ct);
                    }

                    await e.WriteAsync(transaction.PostedAt, ct);
                }
            }

            await t.CompleteAsync(ct);
            await e.CompleteAsync(ct);
        }

        await using var head = new NpgsqlCommand("INSERT INTO billing.heads (tenant_id, seq, posted_at, hash, available) VALUES ($1, $2, $3, $4, $2)", transactions)
        {
            Parameters = { new() { Value = Tenant }, new() { Value = (long)Verified }, new() { Value = At(Verified) }, new() { Value = hash } },
        };
        await head.ExecuteNonQueryAsync(ct);
        await ExecuteAsync(transactions, "VACUUM (ANALYZE) billing.entries", ct);
    }

    private static DateTime At(long seq) => Start + (seq * Apart);

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(ct);
    }

    private static async Task<object?> ScalarAsync(NpgsqlDataSource source, string sql, CancellationToken ct)
    {
        await using var command = source.CreateCommand(sql);
        return await command.ExecuteScalarAsync(ct);
    }

    /// <summary>The most that this process had in memory since, looked at ten times a second.</summary>
    private sealed class Memory : IAsyncDisposable
    {
        private readonly CancellationTokenSource _over = new();
        private readonly long _heapBefore = GC.GetTotalMemory(forceFullCollection: true);
        private readonly long _residentBefore = Machine.ResidentBytes(Environment.ProcessId);
        private readonly Task _watching;
        private long _heap;
        private long _resident;

        public Memory() => _watching = WatchAsync();

        public async Task<string> PeakAsync()
        {
            await _over.CancelAsync();
            await _watching;
            return string.Create(CultureInfo.InvariantCulture, $"heap at most {_heap / 1e6:0} MB ({_heapBefore / 1e6:0} before), resident {_resident / 1e6:0} MB ({_residentBefore / 1e6:0} before)");
        }

        public async ValueTask DisposeAsync()
        {
            await _over.CancelAsync();
            await _watching;
            _over.Dispose();
        }

        private async Task WatchAsync()
        {
            while (!_over.IsCancellationRequested)
            {
                (_heap, _resident) = (Math.Max(_heap, GC.GetTotalMemory(false)), Math.Max(_resident, Machine.ResidentBytes(Environment.ProcessId)));
                await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, CancellationToken.None);
            }
        }
    }
}
