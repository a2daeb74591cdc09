using Npgsql;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.LiveKit.ServerApi;

namespace VoicePlatform.Sessions.Compat;

/// <summary>
/// Conversations that an agent of somebody else's holds report nothing: their rooms are looked at instead, so that they start with
/// their caller, are paid for while they last, and end.
/// </summary>
internal sealed class WatchedRooms(NpgsqlDataSource source, IServiceScopeFactory scopes, TimeProvider clock, ILogger<WatchedRooms> log) : BackgroundLoop(ConversationTimes.ReportInterval, clock, log)
{
    private const int Batch = 200;

    /// <summary>A caller who lost the connection may come back; one who never came is not waited for longer.</summary>
    private static readonly TimeSpan AwayFor = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan NeverCameAfter = TimeSpan.FromSeconds(60);

    protected override async Task WorkAsync(CancellationToken ct)
    {
        foreach (var session in await OpenAsync(ct))
        {
            try
            {
                await LookAsync(session, ct);
            }
            catch (Exception e) when (!ct.IsCancellationRequested)
            {
                // One that fails must not keep the others unseen; it is looked at again with the next pass.
                SessionLog.LookFailed(Log, session.Id, e);
            }
        }
    }

    private async Task LookAsync(Watched session, CancellationToken ct)
    {
        await using var scope = scopes.CreateAsyncScope();
        var mediator = scope.ServiceProvider.GetRequiredService<IMediator>();
        bool isThere;
        try
        {
            var participants = await scope.ServiceProvider.GetRequiredService<LiveKitApi>().Rooms.ListParticipantsAsync(session.RoomName, ct);
            isThere = participants.Any(p => p.Identity == session.Identity);
        }
        catch (LiveKitApiException e) when (e.Code == "not_found")
        {
            isThere = false;
        }
        catch (LiveKitApiException)
        {
            return;     // Not known now; the next look may tell.
        }

        var now = Clock.GetUtcNow();
        var reason = session.StartedAt is { } startedAt
            ? !isThere && now - session.LastSeenAt > AwayFor ? EndReasons.CallerLeft
                : now - startedAt > TimeSpan.FromSeconds(session.MaxDurationS) ? EndReasons.MaxDuration
                : null
            : !isThere && now - session.CreatedAt > NeverCameAfter ? EndReasons.NeverStarted : null;
        if (reason is null && isThere)
        {
            var told = await mediator.Send(new ReportProgress(session.Id, [], [], [], [], CallerPresent: true), ct);
            reason = told is { IsOk: true, Value.Continuation: Continuation.OutOfCredits } ? EndReasons.OutOfCredits : null;
        }

        if (reason is not null)
        {
            await mediator.Send(new FinishSession(session.Id, reason) { EndedAt = EndOf(session, isThere) }, ct);
        }
    }

    /// <summary>Who is gone was there until he was last seen; who is there, no longer than he may be. Null: until now.</summary>
    private static DateTimeOffset? EndOf(Watched session, bool isThere) =>
        isThere ? session.StartedAt + TimeSpan.FromSeconds(session.MaxDurationS) : session.LastSeenAt;

    private async Task<List<Watched>> OpenAsync(CancellationToken ct)
    {
        var open = new List<Watched>();
        await using var query = source.CreateCommand(
            """
            SELECT id, room_name, participant_identity, created_at, started_at, last_seen_at, max_duration_s FROM session.sessions
            WHERE runs_elsewhere AND status <> 'ended' ORDER BY last_seen_at LIMIT $1
            """);
        query.Parameters.Add(new() { Value = Batch });
        await using var row = await query.ExecuteReaderAsync(ct);
        while (await row.ReadAsync(ct))
        {
            open.Add(new(
                row.GetString(0), row.GetString(1), row.GetString(2), row.GetFieldValue<DateTimeOffset>(3),
                await row.IsDBNullAsync(4, ct) ? null : row.GetFieldValue<DateTimeOffset>(4), row.GetFieldValue<DateTimeOffset>(5), row.GetInt32(6)));
        }

        return open;
    }

    private sealed record Watched(
        string Id, string RoomName, string Identity, DateTimeOffset CreatedAt, DateTimeOffset? StartedAt, DateTimeOffset LastSeenAt, int MaxDurationS);
}
