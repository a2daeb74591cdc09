using Dapper;
using Npgsql;

namespace VoicePlatform.Tenants.Schedule;

/// <summary>Lets go of deliveries with their attempts after 30 days, and of events after 90; in small transactions, so that nobody waits.</summary>
internal sealed class ClearOutEvents(NpgsqlDataSource source, TimeProvider clock) : IScheduledJob
{
    private const int Batch = 1000;
    private static readonly TimeSpan DeliveriesKept = TimeSpan.FromDays(30);
    private static readonly TimeSpan EventsKept = TimeSpan.FromDays(90);

    public string Name => "tenant.clear-out-events";

    public SharedKernel.Schedule Schedule => new SharedKernel.Schedule.Every(TimeSpan.FromHours(1));

    public async Task RunAsync(CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        await RepeatAsync(
            """
            WITH old AS (SELECT id FROM tenant.deliveries WHERE completed_at < @Before ORDER BY completed_at LIMIT @Batch FOR UPDATE SKIP LOCKED),
            attempts AS (DELETE FROM tenant.delivery_attempts a USING old WHERE a.delivery_id = old.id),
            gone AS (DELETE FROM tenant.deliveries d USING old WHERE d.id = old.id RETURNING 1)
            SELECT count(*) FROM gone
            """, new { Before = now - DeliveriesKept, Batch }, ct);

        // Ids are in the order of time, so the oldest are at the beginning of the index. What is still on its way keeps its event.
        await RepeatAsync(
            """
            WITH gone AS (
              DELETE FROM tenant.events WHERE id IN (
                SELECT e.id FROM tenant.events e WHERE e.id < @Before AND NOT EXISTS (SELECT FROM tenant.deliveries d WHERE d.event_id = e.id)
                ORDER BY e.id LIMIT @Batch)
              RETURNING 1)
            SELECT count(*) FROM gone
            """, new { Before = Ids.First(Ids.Event, now - EventsKept), Batch }, ct);
    }

    private async Task RepeatAsync(string sql, object parameters, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        while (await connection.ExecuteScalarAsync<long>(new(sql, parameters, cancellationToken: ct)) == Batch)
        {
        }
    }
}
