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

    // Many commits, one round trip.
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(20);

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
                await Task.Delay(Pace, clock, stoppingToken);
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
        await using var number = source.CreateCommand("SELECT tenant.number_events($1)");
        number.Parameters.Add(new() { Value = Batch });
        return (int)(await number.ExecuteScalarAsync(ct))!;
    }

    [LoggerMessage(LogLevel.Error, "Numbering events failed")]
    private static partial void Failed(ILogger logger, Exception exception);
}
