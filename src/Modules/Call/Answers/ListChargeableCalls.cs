using Dapper;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Calls.Answers;

internal sealed class ListChargeableCallsHandler(UnitOfWork unit)
    : IRequestHandler<ListChargeableCalls, Result<IReadOnlyList<Chargeable>>>, IRequestHandler<FindChargeableCalls, Result<IReadOnlyList<Chargeable>>>
{
    private const string Select =
        "SELECT id AS subject_id, tenant_id, answered_at IS NOT NULL AS has_begun, ended_at IS NOT NULL AS is_over, cost FROM call.calls WHERE NOT is_test";

    public Task<Result<IReadOnlyList<Chargeable>>> Handle(ListChargeableCalls request, CancellationToken cancellationToken) =>
        ReadAsync($"{Select} AND id > @After AND id <= @Until ORDER BY id LIMIT @Limit", request, cancellationToken);

    public Task<Result<IReadOnlyList<Chargeable>>> Handle(FindChargeableCalls request, CancellationToken cancellationToken) =>
        ReadAsync($"{Select} AND id = ANY(@SubjectIds)", new { SubjectIds = request.SubjectIds.ToArray() }, cancellationToken);

    private async Task<Result<IReadOnlyList<Chargeable>>> ReadAsync(string sql, object values, CancellationToken ct)
    {
        var rows = await (await unit.OpenAsync(ct)).QueryAsync<Chargeable>(new(sql, values, unit.Transaction, cancellationToken: ct));
        return Result<IReadOnlyList<Chargeable>>.Ok(rows.AsList());
    }
}
