using Npgsql;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Sessions;

/// <summary>
/// Ends conversations that nobody runs: their host died, their agent never came, or a text session was left. They are charged
/// for what happened until somebody last reported.
/// </summary>
internal sealed partial class SessionSweeper(NpgsqlDataSource source, IServiceScopeFactory scopes, TimeProvider clock, ILogger<SessionSweeper> log) : BackgroundLoop(Interval, clock, log)
{
    /// <summary>The agent reports every five seconds; four missed reports mean that it is gone.</summary>
    public static readonly TimeSpan LostAfter = TimeSpan.FromSeconds(20);

    private static readonly TimeSpan NeverAttendedAfter = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan TextIdleAfter = TimeSpan.FromMinutes(30);
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    private DateTimeOffset? _lastLook;
    private DateTimeOffset _trustsReportsFrom;

    protected override async Task WorkAsync(CancellationToken ct)
    {
        // While the database was away nobody could report: who lives has time to do so now.
        var now = Clock.GetUtcNow();
        if (now - _lastLook > LostAfter / 2)
        {
            _trustsReportsFrom = now + LostAfter;
        }

        var abandoned = new List<(string Id, string Reason)>();
        await using (var query = source.CreateCommand(
            """
            SELECT id, CASE WHEN text_only THEN 'idle' WHEN status = 'created' THEN 'never_started' ELSE 'agent_lost' END FROM session.sessions
            WHERE status <> 'ended' AND NOT runs_elsewhere AND last_seen_at < CASE WHEN text_only THEN $3 WHEN status = 'created' THEN $2 ELSE $1 END
            ORDER BY last_seen_at LIMIT 100
            """))
        {
            query.Parameters.Add(new() { Value = now < _trustsReportsFrom ? DateTimeOffset.UnixEpoch : now - LostAfter });
            query.Parameters.Add(new() { Value = now - NeverAttendedAfter });
            query.Parameters.Add(new() { Value = now - TextIdleAfter });
            await using var row = await query.ExecuteReaderAsync(ct);
            while (await row.ReadAsync(ct))
            {
                abandoned.Add((row.GetString(0), row.GetString(1)));
            }
        }

        foreach (var (id, reason) in abandoned)
        {
            try
            {
                await using var scope = scopes.CreateAsyncScope();
                var finished = await scope.ServiceProvider.GetRequiredService<IMediator>().Send(new FinishSession(id, reason), ct);
                Swept(Log, id, finished.Error?.Code ?? reason);
            }
            catch (Exception e) when (!ct.IsCancellationRequested)
            {
                // One that cannot be ended must not keep the others open; it is tried again with the next sweep.
                Failed(Log, e);
            }
        }

        // Not before: to end a hundred takes its time too.
        _lastLook = Clock.GetUtcNow();
    }

    [LoggerMessage(LogLevel.Information, "Session {SessionId} was ended by the sweeper: {Reason}")]
    private static partial void Swept(ILogger logger, string sessionId, string reason);

    [LoggerMessage(LogLevel.Error, "A session could not be ended; it is tried again")]
    private static partial void Failed(ILogger logger, Exception exception);
}
