using System.Diagnostics.Metrics;
using Dapper;
using Npgsql;

namespace VoicePlatform.Tenants.Events;

/// <summary>What operators watch of webhooks: what became of each attempt, and how much waits.</summary>
internal sealed class WebhookMetrics(NpgsqlDataSource source, TimeProvider clock) : IGauges
{
    private const int MostCounted = 100_000;

    private static readonly Meter Meter = new("VoicePlatform.Tenants");
    private static readonly Histogram<double> Attempts = Meter.CreateHistogram<double>(
        "voiceplatform.webhook.attempt.duration", "s", "Attempts to deliver an event: delivered, to be retried, or given up.");

    public static void Attempted(string outcome, TimeSpan took) => Attempts.Record(took.TotalSeconds, new KeyValuePair<string, object?>("outcome", outcome));

    public async Task<IReadOnlyList<Gauge>> ReadAsync(CancellationToken ct)
    {
        const string What = "Deliveries that are not done: due now, or waiting for their next attempt.";
        await using var connection = await source.OpenConnectionAsync(ct);
        var (due, waiting) = await connection.QuerySingleAsync<(long, long)>(new(
            """
            SELECT (SELECT count(*) FROM (SELECT FROM tenant.delivery_queue WHERE due_at <= @now LIMIT @MostCounted) d),
                   (SELECT count(*) FROM (SELECT FROM tenant.delivery_queue WHERE due_at > @now LIMIT @MostCounted) w)
            """,
            new { now = clock.GetUtcNow(), MostCounted }, cancellationToken: ct));
        return [new("voiceplatform.webhook.pending", What, ("state", "due"), due), new("voiceplatform.webhook.pending", What, ("state", "waiting"), waiting)];
    }
}
