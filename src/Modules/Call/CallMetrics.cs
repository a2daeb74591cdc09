using System.Diagnostics.Metrics;
using Dapper;
using Npgsql;
using VoicePlatform.Calls.Data;

namespace VoicePlatform.Calls;

/// <summary>What operators watch of calls: how they end, and how many wait.</summary>
internal sealed class CallMetrics(NpgsqlDataSource source) : IGauges
{
    // Counting stops there: a queue of this length is an alarm whatever its exact length.
    private const int MostCounted = 100_000;

    private static readonly Meter Meter = new("VoicePlatform.Calls");
    private static readonly Counter<long> CallsEnded = Meter.CreateCounter<long>("voiceplatform.calls.ended", "{call}", "Calls that are over, by direction and outcome.");
    private static readonly Counter<long> Attempts = Meter.CreateCounter<long>("voiceplatform.dialler.attempts", "{attempt}", "Dial attempts that were begun.");

    public static void Ended(Call call) => CallsEnded.Add(1, new("direction", CallDb.Text(call.Direction)), new KeyValuePair<string, object?>("outcome", CallDb.Text(call.Status)));

    public static void Begun(int attempts) => Attempts.Add(attempts);

    public async Task<IReadOnlyList<Gauge>> ReadAsync(CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        var (due, waiting, up) = await connection.QuerySingleAsync<(long, long, long)>(new(
            """
            SELECT (SELECT count(*) FROM (SELECT FROM call.queue WHERE is_due LIMIT @MostCounted) d),
                   (SELECT count(*) FROM (SELECT FROM call.queue WHERE NOT is_due LIMIT @MostCounted) w),
                   (SELECT count(*) FROM call.calls WHERE status IN ('dialing', 'ringing', 'in_progress'))
            """,
            new { MostCounted }, cancellationToken: ct));
        return
        [
            new("voiceplatform.calls.queued", "Calls that wait to be dialled: due, or for their time.", ("state", "due"), due),
            new("voiceplatform.calls.queued", "Calls that wait to be dialled: due, or for their time.", ("state", "scheduled"), waiting),
            new("voiceplatform.calls.up", "Calls that are dialled, ring or are talked on.", null, up),
        ];
    }
}
