using VoicePlatform.Billing.Ledger;

namespace VoicePlatform.Billing.Features;

/// <summary>What things cost the tenant: the card in force, and those that are announced. What runs keeps the card that it was accepted under.</summary>
internal static class GetRates
{
    public static void Map(RouteGroupBuilder billing) => billing
        .MapGet("/rates", async (Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(GetRates))
        .Produces<Response>();

    public sealed record Query(string TenantId) : IRequest<Result<Response>>;

    /// <param name="Coming">In the order in which they come into force.</param>
    public sealed record Response(RateCardView InForce, IReadOnlyList<RateCardView> Coming);

    internal sealed class Handler(RateCards cards, TimeProvider clock) : IRequestHandler<Query, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Query request, CancellationToken cancellationToken)
        {
            var inForce = await cards.InForceAsync(request.TenantId, clock.GetUtcNow(), null, cancellationToken);
            var coming = await cards.ComingAsync(request.TenantId, cancellationToken);
            return new Response(RateCardView.Of(inForce), [.. coming.Select(RateCardView.Of)]);
        }
    }
}
