using Npgsql;

namespace VoicePlatform.Tenants.Events;

/// <summary>
/// Numbers events after their commit. Ids are given before commit and commits overtake each other, so a reader who went by id
/// would miss what commits late. One sequencer works at a time, whichever host gets the lock.
/// </summary>
internal sealed partial class EventSequencer(
    NpgsqlDataSource source, [FromKeyedServices(typeof(EventSequencer))] WakeUp wakeUp, TimeProvider clock, ILogger<EventSequencer> log) : BackgroundService
{
    private const int Batch = 1000;
    private static readonly TimeSpan PollInterval = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                while (await NumberSomeAsync(stoppingToken) == Batch)
                {
                }

                await wakeUp.WaitAsync(PollInterval, clock, stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                Failed(log, e);
                await Task.Delay(PollInterval, clock, CancellationToken.None);
            }
        }
    }

    private async Task<int> NumberSomeAsync(CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await using (var tryLock = new NpgsqlCommand("SELECT pg_try_advisory_xact_lock(hashtext('tenant.sequencer'))", connection, transaction))
        {
            if (await tryLock.ExecuteScalarAsync(ct) is not true)
            {
                return 0;
            }
        }

        // Only the holder of the lock numbers, and it takes what is committed now: later commits get later numbers.
        await using var number = new NpgsqlCommand(
            """
            UPDATE tenant.events e SET position = n.position
            FROM (SELECT id, nextval('tenant.event_position') AS position
                  FROM (SELECT id FROM tenant.events WHERE position IS NULL ORDER BY id LIMIT $1) waiting) n
            WHERE e.id = n.id
            """, connection, transaction);
        number.Parameters.Add(new() { Value = Batch });
        var count = await number.ExecuteNonQueryAsync(ct);
        await transaction.CommitAsync(ct);
        return count;
    }

    [LoggerMessage(LogLevel.Error, "Numbering events failed")]
    private static partial void Failed(ILogger logger, Exception exception);
}
