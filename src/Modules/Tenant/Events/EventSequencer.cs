using Npgsql;

namespace VoicePlatform.Tenants.Events;

/// <summary>
/// Numbers events after their commit. Ids are given before commit and commits overtake each other, so a reader who went by id
/// would miss what commits late. One sequencer works at a time, whichever host gets the lock.
/// </summary>
internal sealed class EventSequencer(
    NpgsqlDataSource source, [FromKeyedServices(typeof(EventSequencer))] WakeUp wakeUp, TimeProvider clock, ILogger<EventSequencer> log)
    : BackgroundLoop(PollInterval, clock, log, wakeUp), IAsyncDisposable
{
    private const int Batch = 1000;
    private static readonly TimeSpan PollInterval = TimeSpan.FromSeconds(1);

    // Many commits, one round trip.
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(20);

    private readonly KeptConnection _connection = new(source);

    public ValueTask DisposeAsync() => _connection.DisposeAsync();

    protected override async Task WorkAsync(CancellationToken ct)
    {
        await Task.Delay(Pace, Clock, ct);
        while (await NumberSomeAsync(ct) == Batch)
        {
        }
    }

    private async Task<int> NumberSomeAsync(CancellationToken ct)
    {
        await using var number = await _connection.PrepareAsync("SELECT tenant.number_events($1)", ct, new NpgsqlParameter { Value = Batch });
        return (int)(await number.ExecuteScalarAsync(ct))!;
    }
}
