using Dapper;
using Npgsql;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Contracts.Tenants;
using VoicePlatform.SharedKernel.Outbox;

namespace VoicePlatform.Sessions.Retention;

/// <summary>
/// Removes what was said in conversations whose assistant wanted it kept no longer: transcript, notes and analysis, and the events that told of them. Times,
/// usage and cost stay. Each conversation is a transaction of its own, which finds nothing to do where another host was first; one that cannot be done, or
/// not wholly, is come back to with the next run.
/// </summary>
internal sealed partial class ForgetConversations(NpgsqlDataSource source, Transactions transactions, TimeProvider clock, ILogger<ForgetConversations> log) : IScheduledJob
{
    private const int PageSize = 500;

    public string Name => "session.forget";

    public Schedule Schedule => new Schedule.Every(TimeSpan.FromHours(1));

    public async Task RunAsync(CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        var (after, afterId) = (DateTimeOffset.UnixEpoch, "");
        List<(string Id, string TenantId, DateTimeOffset ForgetAt)> due;
        do
        {
            await using (var connection = await source.OpenConnectionAsync(ct))
            {
                due = [.. await connection.QueryAsync<(string, string, DateTimeOffset)>(new(
                    """
                    SELECT id, tenant_id, forget_at FROM session.sessions
                    WHERE forget_at <= @now AND cleared_at IS NULL AND (forget_at, id) > (@after, @afterId) ORDER BY forget_at, id LIMIT @PageSize
                    """, new { now, after, afterId, PageSize }, cancellationToken: ct))];
            }

            foreach (var (id, tenantId, forgetAt) in due)
            {
                (after, afterId) = (forgetAt, id);
                await TryAsync(id, tenantId, ct);
            }
        }
        while (due.Count == PageSize);
    }

    private async Task TryAsync(string id, string tenantId, CancellationToken ct)
    {
        try
        {
            var caller = new Caller();
            caller.Become(tenantId, null, null, false);
            var done = await transactions.RunAsync(caller, (scope, token) => scope.GetRequiredService<IMediator>().Send(new ForgetConversation(id), token), ct);
            if (!done.IsOk)
            {
                throw new InvalidOperationException(done.Error.Code);
            }
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            // One that cannot be removed must not keep the others.
            Failed(log, id, e);
        }
    }

    [LoggerMessage(LogLevel.Error, "What was said in session {SessionId} could not be removed; it is tried again")]
    private static partial void Failed(ILogger logger, string sessionId, Exception exception);
}

/// <summary>Removes what was said in one conversation, when its time has come. One that is being analysed is left to a later run, and so are events on their way.</summary>
internal sealed record ForgetConversation(string SessionId) : ICommand<Done>;

internal sealed class ForgetConversationHandler(UnitOfWork unit, IMediator mediator, OutboxWriter outbox, TimeProvider clock, ILogger<ForgetConversationHandler> log)
    : IRequestHandler<ForgetConversation, Result<Done>>
{
    public async Task<Result<Done>> Handle(ForgetConversation request, CancellationToken cancellationToken)
    {
        var now = clock.GetUtcNow();
        var session = await unit.Connection.QuerySingleOrDefaultAsync<(string TenantId, string? CallId, bool IsNew)>(new(
            """
            WITH before AS (SELECT id, forgotten_at FROM session.sessions WHERE id = @SessionId FOR UPDATE)
            UPDATE session.sessions s SET forgotten_at = coalesce(s.forgotten_at, @now)
            FROM before
            WHERE s.id = before.id AND s.forget_at <= @now AND s.cleared_at IS NULL
              AND NOT EXISTS (SELECT FROM session.analyses a WHERE a.session_id = s.id AND a.status = 'pending')
            RETURNING s.tenant_id, s.call_id, before.forgotten_at IS NULL
            """, new { request.SessionId, now }, unit.Transaction, cancellationToken: cancellationToken));
        if (session is not { TenantId: { } tenantId })
        {
            return default(Done);
        }

        await unit.Connection.ExecuteAsync(new(
            """
            DELETE FROM session.lines WHERE session_id = @SessionId;
            DELETE FROM session.events WHERE session_id = @SessionId;
            DELETE FROM session.analyses WHERE session_id = @SessionId
            """, new { request.SessionId }, unit.Transaction, cancellationToken: cancellationToken));
        if (session is { IsNew: true, CallId: { } callId })
        {
            await outbox.PublishAsync(new PhoneSessionForgotten(request.SessionId, callId), cancellationToken);
        }

        string[] subjects = session.CallId is { } call ? [request.SessionId, call] : [request.SessionId];
        var waiting = await mediator.Send(new RemoveEvents(tenantId, subjects), cancellationToken);
        if (!waiting.IsOk)
        {
            return waiting.Error;
        }

        if (waiting.Value == 0)
        {
            await unit.Connection.ExecuteAsync(new(
                "UPDATE session.sessions SET cleared_at = @now WHERE id = @SessionId", new { request.SessionId, now }, unit.Transaction, cancellationToken: cancellationToken));
        }

        if (session.IsNew)
        {
            SessionLog.Forgotten(log, request.SessionId);
        }

        return default(Done);
    }
}
