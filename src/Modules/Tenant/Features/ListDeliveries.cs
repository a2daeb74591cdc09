using Dapper;

namespace VoicePlatform.Tenants.Features;

/// <summary>What was sent to a webhook, and how each attempt went; newest first.</summary>
internal static class ListDeliveries
{
    public static void Map(RouteGroupBuilder webhooks) => webhooks
        .MapGet("/{id}/deliveries", async (string id, [Words<DeliveryStatus>] string? status, int? limit, string? starting_after, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id, status, new(limit, starting_after)), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(ListDeliveries))
        .Produces<Page<DeliveryView>>();

    public sealed record Query(string TenantId, string WebhookId, string? Status, PageQuery Page) : IRequest<Result<Page<DeliveryView>>>;

    internal sealed class Handler(UnitOfWork unit) : IRequestHandler<Query, Result<Page<DeliveryView>>>
    {
        public async Task<Result<Page<DeliveryView>>> Handle(Query request, CancellationToken cancellationToken)
        {
            if ((request.Page.Refusal ?? Words.Refusal<DeliveryStatus>("status", request.Status)) is { } refusal)
            {
                return refusal;
            }

            var connection = await unit.OpenAsync(cancellationToken);
            var known = await connection.ExecuteScalarAsync<bool>(new(
                "SELECT EXISTS (SELECT FROM tenant.webhooks WHERE id = @WebhookId AND tenant_id = @TenantId)", request, cancellationToken: cancellationToken));
            if (!known)
            {
                return TenantErrors.WebhookNotFound;
            }

            // Said twice for what is rare, so that the index of what was not delivered is used.
            var withStatus = request.Status switch { null => "", "delivered" => "AND d.status = @Status", _ => "AND d.status = @Status AND d.status <> 'delivered'" };
            var rows = await DeliveryView.ReadAsync(
                unit,
                $"d.webhook_id = @WebhookId {withStatus} AND (@After IS NULL OR d.id < @After) ORDER BY d.id DESC LIMIT @Rows",
                new { request.WebhookId, request.Status, After = request.Page.StartingAfter, Rows = request.Page.Rows + 1 },
                cancellationToken);
            return Page<DeliveryView>.Of(rows, request.Page.Rows, d => d.Id);
        }
    }
}
