using Npgsql;
using VoicePlatform.Calls.Data;
using VoicePlatform.Calls.Dialling;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Calls;

/// <summary>
/// Sees to it that every call ends: queued ones that nobody got to, attempts whose host died, calls that outlive their time. A number
/// that may have rung is not rung again.
/// </summary>
internal sealed class CallSweeper(NpgsqlDataSource source, IServiceScopeFactory scopes, TimeProvider clock, ILogger<CallSweeper> log) : BackgroundLoop(Interval, clock, log)
{
    private const int Batch = 200;
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    protected override async Task WorkAsync(CancellationToken ct)
    {
        var now = Clock.GetUtcNow();
        foreach (var (callId, _, _) in await FindAsync("SELECT id, 0, NULL FROM call.calls WHERE status = 'queued' AND expires_at < $1 ORDER BY expires_at LIMIT $2", now, ct))
        {
            await SendAsync(new ExpireCall(callId), ct);
        }

        foreach (var (callId, attempt, sessionId) in await FindAsync(
            "SELECT call_id, number, session_id FROM call.attempts WHERE status = 'dialing' AND lease_until < $1 ORDER BY lease_until LIMIT $2", now, ct))
        {
            await SendAsync(new FinishAttempt(callId, attempt, sessionId, Outcome.Unknown), ct);
        }

        foreach (var (callId, _, sessionId) in await FindAsync(
            "SELECT id, 0, session_id FROM call.calls WHERE status IN ('dialing', 'ringing', 'in_progress') AND deadline_at < $1 ORDER BY deadline_at LIMIT $2", now, ct))
        {
            await SendAsync(new EndOverdueCall(callId, sessionId), ct);
        }
    }

    private async Task<List<(string CallId, int Attempt, string? SessionId)>> FindAsync(string sql, DateTimeOffset now, CancellationToken ct)
    {
        var found = new List<(string, int, string?)>();
        await using var query = source.CreateCommand(sql);
        query.Parameters.Add(new() { Value = now });
        query.Parameters.Add(new() { Value = Batch });
        await using var row = await query.ExecuteReaderAsync(ct);
        while (await row.ReadAsync(ct))
        {
            found.Add((row.GetString(0), row.GetInt32(1), row.GetValue(2) as string));
        }

        return found;
    }

    private async Task SendAsync(ICommand<Done> command, CancellationToken ct)
    {
        try
        {
            await using var scope = scopes.CreateAsyncScope();
            await scope.ServiceProvider.GetRequiredService<IMediator>().Send(command, ct);
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            // One that cannot be ended must not keep the others; it is tried again with the next sweep.
            CallLog.SweepFailed(Log, e);
        }
    }
}

/// <summary>Nobody got to it within its time to live.</summary>
internal sealed record ExpireCall(string CallId) : ICommand<Done>;

/// <summary>Its time is over and it has not ended by itself.</summary>
internal sealed record EndOverdueCall(string CallId, string? SessionId) : ICommand<Done>;

internal sealed class ExpireCallHandler(CallDb db, UnitOfWork unit, CallEnding ending, TimeProvider clock) : IRequestHandler<ExpireCall, Result<Done>>
{
    public async Task<Result<Done>> Handle(ExpireCall request, CancellationToken cancellationToken)
    {
        var call = await db.LockedAsync(request.CallId, cancellationToken);
        if (call is not { Status: CallStatus.Queued } || call.ExpiresAt >= clock.GetUtcNow())
        {
            return default(Done);
        }

        await unit.DequeueAsync(call.Id, cancellationToken);
        return await ending.UnansweredAsync(call, Outcome.Expired, Outcome.Expired.Cause, cancellationToken);
    }
}

internal sealed class EndOverdueCallHandler(CallDb db, UnitOfWork unit, IMediator mediator, CallEnding ending, TimeProvider clock) : IRequestHandler<EndOverdueCall, Result<Done>>
{
    public async Task<Result<Done>> Handle(EndOverdueCall request, CancellationToken cancellationToken)
    {
        // A conversation ends with its charge, and with it its call; what is left after that never was one.
        if (request.SessionId is { } sessionId)
        {
            var finished = await mediator.Send(new FinishSession(sessionId, EndReasons.MaxDuration), cancellationToken);
            if (!finished.IsOk)
            {
                return finished.Error;
            }
        }

        var call = (await db.LockedAsync(request.CallId, cancellationToken))!;
        await db.Entry(call).ReloadAsync(cancellationToken);
        if (call.IsOver || call.DeadlineAt >= clock.GetUtcNow())
        {
            return default(Done);
        }

        await unit.EndAttemptAsync(call.Id, call.Attempts, "failed", Outcome.Unknown, clock.GetUtcNow(), cancellationToken);
        return await ending.UnansweredAsync(call, Outcome.Unknown with { Cause = "overdue" }, "overdue", cancellationToken);
    }
}
