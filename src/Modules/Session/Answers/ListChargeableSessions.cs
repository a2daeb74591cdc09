using Dapper;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Sessions.Answers;

internal sealed class ListChargeableSessionsHandler(UnitOfWork unit)
    : IRequestHandler<ListChargeableSessions, Result<IReadOnlyList<Chargeable>>>, IRequestHandler<FindChargeableSessions, Result<IReadOnlyList<Chargeable>>>
{
    private const string Select =
        """
        SELECT s.id AS subject_id, s.tenant_id,
          s.started_at IS NOT NULL AND NOT EXISTS (SELECT FROM session.events e WHERE e.session_id = s.id AND e.kind = @AgentAbsent) AS has_begun,
          s.status = 'ended' AS is_over, s.cost
        FROM session.sessions s
        WHERE s.call_id IS NULL AND NOT s.is_test
        """;

    public Task<Result<IReadOnlyList<Chargeable>>> Handle(ListChargeableSessions request, CancellationToken cancellationToken) => ReadAsync(
        $"{Select} AND s.id > @After AND s.id <= @Until ORDER BY s.id LIMIT @Limit",
        new { request.After, request.Until, request.Limit, SessionNotes.AgentAbsent }, cancellationToken);

    /// <summary>Analyses hold for themselves (<see cref="Analysis.Analyses.HoldSubject"/>): what they use is of their session, so they cost nothing.</summary>
    public Task<Result<IReadOnlyList<Chargeable>>> Handle(FindChargeableSessions request, CancellationToken cancellationToken) => ReadAsync(
        $"""
        {Select} AND s.id = ANY(@SubjectIds)
        UNION ALL
        SELECT x.subject_id, a.tenant_id, true, a.status <> 'pending' OR a.run <> x.run, CASE WHEN a.status <> 'pending' OR a.run <> x.run THEN 0 END
        FROM (
          SELECT subject_id, split_part(subject_id, ':', 2) AS session_id, split_part(subject_id, ':', 3)::int AS run
          FROM unnest(@SubjectIds) subject_id WHERE subject_id LIKE 'analysis:%') x
        JOIN session.analyses a ON a.session_id = x.session_id
        """,
        new { SubjectIds = request.SubjectIds.ToArray(), SessionNotes.AgentAbsent }, cancellationToken);

    private async Task<Result<IReadOnlyList<Chargeable>>> ReadAsync(string sql, object values, CancellationToken ct)
    {
        var rows = await (await unit.OpenAsync(ct)).QueryAsync<Chargeable>(new(sql, values, unit.Transaction, cancellationToken: ct));
        return Result<IReadOnlyList<Chargeable>>.Ok(rows.AsList());
    }
}
