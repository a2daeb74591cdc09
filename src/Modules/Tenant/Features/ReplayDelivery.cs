using Dapper;
using VoicePlatform.Tenants.Events;

namespace VoicePlatform.Tenants.Features;

/// <summary>Sends a delivery again: the same bytes under the same webhook-id, signed anew. Its earlier attempts stay visible.</summary>
internal static class ReplayDelivery
{
    public static void Map(RouteGroupBuilder deliveries) => deliveries
        .MapPost("/{id}/replay", async (string id, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(id), ct)).ToHttp(r => TypedResults.Json(r, Json.Options, statusCode: StatusCodes.Status202Accepted)))
        .WithName(nameof(ReplayDelivery))
        .Produces<DeliveryView>(StatusCodes.Status202Accepted);

    public sealed record Command(string DeliveryId) : ICommand<DeliveryView>;

    internal sealed class Handler(UnitOfWork unit, Caller caller, DueLanes due, AuditLog audit, TimeProvider clock) : IRequestHandler<Command, Result<DeliveryView>>
    {
        public async Task<Result<DeliveryView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var connection = await unit.OpenAsync(cancellationToken);
            var found = await connection.QuerySingleOrDefaultAsync<Found>(new(
                """
                SELECT tenant.delivery_lane(d.tenant_id, d.webhook_id, d.url) AS lane,
                  coalesce(w.deleted_at IS NOT NULL OR w.disabled_at IS NOT NULL, false) AS is_gone
                FROM tenant.deliveries d LEFT JOIN tenant.webhooks w ON w.id = d.webhook_id
                WHERE d.id = @DeliveryId AND d.tenant_id = @TenantId FOR UPDATE OF d
                """,
                new { command.DeliveryId, caller.TenantId },
                unit.Transaction,
                cancellationToken: cancellationToken));
            if (found is null)
            {
                return TenantErrors.DeliveryNotFound;
            }

            if (found.IsGone)
            {
                return TenantErrors.WebhookDisabled;
            }

            // What is on its way is not sent twice for being asked for: it is only due now, unless it is being sent at this moment.
            await connection.ExecuteAsync(new(
                """
                WITH again AS (
                  UPDATE tenant.deliveries SET status = 'pending', completed_at = NULL WHERE id = @DeliveryId RETURNING id, tenant_id, subject_id, sequence)
                INSERT INTO tenant.delivery_queue AS q (delivery_id, tenant_id, lane, subject_id, sequence, due_at)
                SELECT id, tenant_id, @Lane, subject_id, sequence, @Now FROM again
                ON CONFLICT (delivery_id) DO UPDATE SET due_at = excluded.due_at WHERE q.lease IS NULL
                """,
                new { command.DeliveryId, found.Lane, Now = clock.GetUtcNow() },
                unit.Transaction,
                cancellationToken: cancellationToken));
            await audit.NoteAsync("delivery.replayed", command.DeliveryId, null, cancellationToken);
            unit.AfterCommit(() => due.Mark([new(found.Lane, caller.TenantId)]));
            return (await DeliveryView.ReadAsync(unit, "d.id = @DeliveryId", command, cancellationToken))[0];
        }

        private sealed record Found
        {
            public required string Lane { get; init; }
            public bool IsGone { get; init; }
        }
    }
}
