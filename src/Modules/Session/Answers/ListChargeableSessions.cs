using Dapper;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Sessions.Answers;

internal sealed class ListChargeableSessionsHandler(UnitOfWork unit) : IRequestHandler<ListChargeableSessions, Result<IReadOnlyList<Chargeable>>>
{
    public async Task<Result<IReadOnlyList<Chargeable>>> Handle(ListChargeableSessions request, CancellationToken cancellationToken)
    {
        var rows = await (await unit.OpenAsync(cancellationToken)).QueryAsync<Chargeable>(new(
            """
            SELECT s.id AS subject_id, s.tenant_id,
              s.started_at IS NOT NULL AND NOT EXISTS (SELECT FROM session.events e WHERE e.session_id = s.id AND e.kind = @AgentAbsent) AS has_begun,
              s.status = 'ended' AS is_over, s.cost
            FROM session.sessions s
            WHERE s.id > @After AND s.id <= @Until AND s.call_id IS NULL AND NOT s.is_test
            ORDER BY s.id LIMIT @Limit
            """,
            new { request.After, request.Until, request.Limit, SessionNotes.AgentAbsent }, unit.Transaction, cancellationToken: cancellationToken));
        return Result<IReadOnlyList<Chargeable>>.Ok(rows.AsList());
    }
}
