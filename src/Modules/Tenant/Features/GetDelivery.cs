namespace VoicePlatform.Tenants.Features;

internal static class GetDelivery
{
    public static void Map(RouteGroupBuilder deliveries) => deliveries
        .MapGet("/{id}", async (string id, HttpContext http, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id), ct)).ToHttp(r => Etag.Json(http, r)))
        .WithName(nameof(GetDelivery))
        .Produces<DeliveryView>();

    public sealed record Query(string TenantId, string DeliveryId) : IRequest<Result<DeliveryView>>;

    internal sealed class Handler(UnitOfWork unit) : IRequestHandler<Query, Result<DeliveryView>>
    {
        public async Task<Result<DeliveryView>> Handle(Query request, CancellationToken cancellationToken) =>
            await DeliveryView.ReadAsync(unit, "d.id = @DeliveryId AND d.tenant_id = @TenantId", request, cancellationToken) is [var delivery]
                ? delivery
                : TenantErrors.DeliveryNotFound;
    }
}
