using Dapper;
using Npgsql;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.SharedKernel.Outbox;

namespace VoicePlatform.Sessions.Retention;

/// <summary>
/// Removes what was said in conversations whose assistant wanted it kept no longer: transcript, notes and analysis. The call's recording and the events
/// that told of it follow by their owners (<see cref="ConversationForgotten"/>). Times, usage and cost stay. Each conversation is a transaction of its own,
/// which finds nothing to do where another host was first.
/// </summary>
internal sealed class ForgetConversations(NpgsqlDataSource source, Transactions transactions, TimeProvider clock) : IScheduledJob
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
                    WHERE forget_at <= @now AND forgotten_at IS NULL AND (forget_at, id) > (@after, @afterId) ORDER BY forget_at, id LIMIT @PageSize
                    """, new { now, after, afterId, PageSize }, cancellationToken: ct))];
            }

            foreach (var (id, tenantId, forgetAt) in due)
            {
                var caller = new Caller();
                caller.Become(tenantId, null, null, false);
                await transactions.RunAsync(caller, (scope, token) => scope.GetRequiredService<IMediator>().Send(new ForgetConversation(id), token), ct);
                (after, afterId) = (forgetAt, id);
            }
        }
        while (due.Count == PageSize);
    }
}

/// <summary>Removes what was said in one conversation, when its time has come. One that is being analysed is left to a later run.</summary>
internal sealed record ForgetConversation(string SessionId) : ICommand<Done>;

internal sealed class ForgetConversationHandler(UnitOfWork unit, OutboxWriter outbox, TimeProvider clock, ILogger<ForgetConversationHandler> log)
    : IRequestHandler<ForgetConversation, Result<Done>>
{
    public async Task<Result<Done>> Handle(ForgetConversation request, CancellationToken cancellationToken)
    {
        var forgotten = await unit.Connection.QuerySingleOrDefaultAsync<(string TenantId, string? CallId)>(new(
            """
            UPDATE session.sessions s SET forgotten_at = @now
            WHERE id = @SessionId AND forget_at <= @now AND forgotten_at IS NULL
              AND NOT EXISTS (SELECT FROM session.analyses a WHERE a.session_id = s.id AND a.status = 'pending')
            RETURNING tenant_id, call_id
            """, new { request.SessionId, now = clock.GetUtcNow() }, unit.Transaction, cancellationToken: cancellationToken));
        if (forgotten is not { TenantId: { } tenantId })
        {
            return default(Done);
        }

        await unit.Connection.ExecuteAsync(new(
            """
            DELETE FROM session.lines WHERE session_id = @SessionId;
            DELETE FROM session.events WHERE session_id = @SessionId;
            DELETE FROM session.analyses WHERE session_id = @SessionId
            """, new { request.SessionId }, unit.Transaction, cancellationToken: cancellationToken));
        await outbox.PublishAsync(new ConversationForgotten(tenantId, request.SessionId, forgotten.CallId), cancellationToken);
        SessionLog.Forgotten(log, request.SessionId);
        return default(Done);
    }
}
