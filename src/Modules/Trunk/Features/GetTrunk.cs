using VoicePlatform.Trunks.Data;

namespace VoicePlatform.Trunks.Features;

/// <summary>A trunk; its password is shown as stars.</summary>
internal static class GetTrunk
{
    public static void Map(RouteGroupBuilder trunks) => trunks
        .MapGet("/{id}", async (string id, HttpContext http, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id), ct)).ToHttp(r => TrunkView.Answer(r, http)))
        .WithName(nameof(GetTrunk))
        .Produces<TrunkView>();

    public sealed record Query(string TenantId, string TrunkId) : IRequest<Result<TrunkView>>;

    internal sealed class Handler(TrunkDb db) : IRequestHandler<Query, Result<TrunkView>>
    {
        public async Task<Result<TrunkView>> Handle(Query request, CancellationToken cancellationToken) =>
            await db.Trunks.AsNoTracking().SingleOrDefaultAsync(t => t.Id == request.TrunkId && t.TenantId == request.TenantId && t.DeletedAt == null, cancellationToken) is { } trunk
                ? TrunkView.ViewOf(trunk)
                : TrunkErrors.NotFound;
    }
}
