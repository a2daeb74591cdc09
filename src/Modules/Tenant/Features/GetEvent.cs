using Dapper;

namespace VoicePlatform.Tenants.Features;

/// <summary>An event, and where it was sent.</summary>
internal static class GetEvent
{
    public static void Map(RouteGroupBuilder events) => events
        .MapGet("/{id}", async (string id, HttpContext http, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id), ct)).ToHttp(r => Etag.Json(http, r)))
        .WithName(nameof(GetEvent))
        .Produces<EventView>();

    public sealed record Query(string TenantId, string EventId) : IRequest<Result<EventView>>;

    internal sealed class Handler(UnitOfWork unit) : IRequestHandler<Query, Result<EventView>>
    {
        public async Task<Result<EventView>> Handle(Query request, CancellationToken cancellationToken)
        {
            var row = await (await unit.OpenAsync(cancellationToken)).QuerySingleOrDefaultAsync<EventView.Row>(new(
                $"SELECT {EventView.Columns} FROM tenant.events WHERE id = @EventId AND tenant_id = @TenantId", request, cancellationToken: cancellationToken));
            return row is null
                ? TenantErrors.EventNotFound
                : row.View with { Deliveries = await DeliveryView.ReadAsync(unit, "d.event_id = @EventId ORDER BY d.id LIMIT 100", request, cancellationToken) };
        }
    }
}
