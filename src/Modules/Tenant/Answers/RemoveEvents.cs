using Dapper;
using VoicePlatform.Contracts.Tenants;

namespace VoicePlatform.Tenants.Answers;

internal sealed class RemoveEventsHandler(UnitOfWork unit) : IRequestHandler<RemoveEvents, Result<long>>
{
    // A replay that is asked for at the same moment keeps its delivery, and that its event: then this fails, and comes again.
    public async Task<Result<long>> Handle(RemoveEvents request, CancellationToken cancellationToken) => await unit.Connection.ExecuteScalarAsync<long>(new(
        """
        WITH told AS (SELECT id FROM tenant.events WHERE tenant_id = @TenantId AND subject_id = ANY (@Subjects) AND type NOT LIKE 'billing.%' AND type NOT LIKE '%.adjusted'),
        sent AS (SELECT d.id, d.status FROM tenant.deliveries d JOIN told ON told.id = d.event_id),
        waiting AS (SELECT count(*) AS count FROM sent WHERE status = 'pending'),
        attempts AS (DELETE FROM tenant.delivery_attempts a USING sent, waiting WHERE a.delivery_id = sent.id AND waiting.count = 0),
        deliveries AS (DELETE FROM tenant.deliveries d USING sent, waiting WHERE d.id = sent.id AND d.status <> 'pending' AND waiting.count = 0),
        events AS (DELETE FROM tenant.events e USING told, waiting WHERE e.id = told.id AND waiting.count = 0)
        SELECT count FROM waiting
        """, request, unit.Transaction, cancellationToken: cancellationToken));
}
