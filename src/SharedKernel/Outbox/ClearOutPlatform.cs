using Dapper;
using Npgsql;

namespace VoicePlatform.SharedKernel.Outbox;

/// <summary>Lets go of stored answers after a day, of delivered facts after a week, and of those that nobody could take after a month.</summary>
internal sealed class ClearOutPlatform(NpgsqlDataSource source, TimeProvider clock) : IScheduledJob
{
    private const int Batch = 1000;

    public string Name => "platform.clear-out";

    public Schedule Schedule => new Schedule.Every(TimeSpan.FromHours(1));

    public async Task RunAsync(CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        await using var connection = await source.OpenConnectionAsync(ct);
        await RepeatAsync(
            """
            DELETE FROM platform.idempotency WHERE (tenant_id, key) IN (
              SELECT tenant_id, key FROM platform.idempotency WHERE created_at < @Before ORDER BY created_at LIMIT @Batch FOR UPDATE SKIP LOCKED)
            """, now - TimeSpan.FromDays(1));
        await RepeatAsync("DELETE FROM platform.outbox WHERE id IN (SELECT id FROM platform.outbox WHERE processed_at < @Before LIMIT @Batch)", now - TimeSpan.FromDays(7));
        await RepeatAsync("DELETE FROM platform.outbox WHERE id IN (SELECT id FROM platform.outbox WHERE occurred_at < @Before LIMIT @Batch)", now - TimeSpan.FromDays(30));

        async Task RepeatAsync(string sql, DateTimeOffset before)
        {
            while (await connection.ExecuteAsync(new(sql, new { Before = before, Batch }, cancellationToken: ct)) == Batch)
            {
            }
        }
    }
}
