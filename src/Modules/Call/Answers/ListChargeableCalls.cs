using Dapper;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Calls.Answers;

internal sealed class ListChargeableCallsHandler(UnitOfWork unit) : IRequestHandler<ListChargeableCalls, Result<IReadOnlyList<Chargeable>>>
{
    public async Task<Result<IReadOnlyList<Chargeable>>> Handle(ListChargeableCalls request, CancellationToken cancellationToken)
    {
        var rows = await (await unit.OpenAsync(cancellationToken)).QueryAsync<Chargeable>(new(
            """
            SELECT id AS subject_id, tenant_id, answered_at IS NOT NULL AS has_begun, ended_at IS NOT NULL AS is_over, cost
            FROM call.calls WHERE id > @After AND id <= @Until AND NOT is_test ORDER BY id LIMIT @Limit
            """,
            new { request.After, request.Until, request.Limit }, unit.Transaction, cancellationToken: cancellationToken));
        return Result<IReadOnlyList<Chargeable>>.Ok(rows.AsList());
    }
}
