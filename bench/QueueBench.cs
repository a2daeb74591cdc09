using System.Diagnostics;
using Npgsql;

namespace VoicePlatform.Bench;

/// <summary>
/// The outbound queue: how many calls a second are claimed from 100,000 that wait, by two diallers at a time; and how long another
/// tenant's first call waits behind a tenant with 10,000. The same function in the database that the dialler calls, on the same schema.
/// </summary>
internal static class QueueBench
{
    private const int Queued = 100_000;
    private const int Trunks = 200;
    private const int Batch = 100;
    private const string Claim = "SELECT call_id FROM call.claim(now(), $1, 1000000, interval '40 s')";

    public static async Task RunAsync(CancellationToken ct)
    {
        var dataDir = Directory.CreateTempSubdirectory("bench-").FullName;
        await Machine.RunAsync("eng/postgres", "start", dataDir);
        try
        {
            var owner = (await Machine.RunAsync("eng/postgres", "owner-url", dataDir)).Trim();
            await HostProcess.MigrateAsync(dataDir, owner, ct);
            await using var source = NpgsqlDataSource.Create(owner);
            await MeasureThroughputAsync(source, ct);
            await MeasureFairnessAsync(source, ct);
        }
        finally
        {
            await HostProcess.RemoveClusterAsync(dataDir);
        }
    }

    private static async Task MeasureThroughputAsync(NpgsqlDataSource source, CancellationToken ct)
    {
        await FillAsync(source, "many", Queued, Trunks, ct);
        var clock = Stopwatch.StartNew();
        var claimed = (await Task.WhenAll(DrainAsync(source, Queued / 4, ct), DrainAsync(source, Queued / 4, ct))).Sum();
        Console.WriteLine($"claims a second, two diallers, {Queued} queued     {claimed / clock.Elapsed.TotalSeconds,8:0}   target: >= 2000   ({claimed} claimed, each once)");
        await source.CreateCommand("TRUNCATE call.queue, call.lanes, call.attempts, call.calls CASCADE").ExecuteNonQueryAsync(ct);
    }

    private static async Task MeasureFairnessAsync(NpgsqlDataSource source, CancellationToken ct)
    {
        await FillAsync(source, "big", 10_000, 1, ct);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
        await DrainAsync(source, 500, ct);
        var draining = DrainAsync(source, 9_000, stop.Token);
        var clock = Stopwatch.StartNew();
        await FillAsync(source, "small", 1, 1, ct);
        while (await source.CreateCommand("SELECT status FROM call.calls WHERE tenant_id = 'small'").ExecuteScalarAsync(ct) is not "dialing")
        {
            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, ct);
        }

        Console.WriteLine($"another tenant's first call behind 10000, ms          {clock.Elapsed.TotalMilliseconds,8:0.0}   target: < 1000");
        await draining;
    }

    private static async Task<int> DrainAsync(NpgsqlDataSource source, int atLeast, CancellationToken ct)
    {
        var claimed = 0;
        while (claimed < atLeast)
        {
            await using var claim = source.CreateCommand(Claim);
            claim.Parameters.Add(new() { Value = Batch });
            await using var rows = await claim.ExecuteReaderAsync(ct);
            var got = 0;
            while (await rows.ReadAsync(ct))
            {
                got++;
            }

            claimed += got;
        }

        return claimed;
    }

    /// <summary>Calls of one tenant per trunk, due at once.</summary>
    private static async Task FillAsync(NpgsqlDataSource source, string tenant, int calls, int trunks, CancellationToken ct)
    {
        await using var fill = source.CreateCommand(
            """
            WITH made AS (
              INSERT INTO call.calls (id, tenant_id, direction, status, assistant_id, assistant_version, assistant_name, trunk_id, from_number, to_number, is_test,
                metadata, variables, voicemail, retry, ring_timeout_s, max_duration_s, is_seed_003, created_at, expires_at, record, record_separate)
              SELECT $1 || '-' || i, CASE WHEN $3 = 1 THEN $1 ELSE $1 || (i % $3) END, 'outbound', 'queued', 'ast', 1, 'Bench', $1 || '-trunk-' || (i % $3), '+15550100', '+15550177', false,
                '{}', '{}', '{}', '{}', 30, 600, false, now(), now() + interval '1 hour', false, false
              FROM generate_series(1, $2) i RETURNING id, tenant_id, trunk_id),
            laned AS (
              INSERT INTO call.lanes (trunk_id, tenant_id, next_at, served_at) SELECT DISTINCT trunk_id, tenant_id, now() - interval '1 s', now() - interval '1 s' FROM made)
            INSERT INTO call.queue (call_id, trunk_id, priority, due_at, is_due) SELECT id, trunk_id, 0, now() - interval '1 ms', true FROM made
            """);
        fill.Parameters.Add(new() { Value = tenant });
        fill.Parameters.Add(new() { Value = calls });
        fill.Parameters.Add(new() { Value = trunks });
        fill.CommandTimeout = 120;
        await fill.ExecuteNonQueryAsync(ct);
        await source.CreateCommand("ANALYZE call.calls, call.queue, call.lanes").ExecuteNonQueryAsync(ct);
    }
}
