using VoicePlatform.Trunks.Data;
using VoicePlatform.Trunks.Probe;

namespace VoicePlatform.Trunks.Features;

/// <summary>Looks whether a trunk works, and says what does not in plain words. An inbound one can only be compared with LiveKit.</summary>
internal static class TestTrunk
{
    public static void Map(RouteGroupBuilder trunks) => trunks
        .MapPost("/{id}/test", async (string id, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(TestTrunk))
        .Produces<Response>();

    public sealed record Query(string TenantId, string TrunkId) : IRequest<Result<Response>>, IEffect;

    public sealed record Response(bool Ok, IReadOnlyList<Check> Checks);

    internal sealed class Handler(TrunkDb db, TrunkProbe probe) : IRequestHandler<Query, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Query request, CancellationToken cancellationToken)
        {
            var trunk = await db.Trunks.AsNoTracking().SingleOrDefaultAsync(t => t.Id == request.TrunkId && t.TenantId == request.TenantId && t.DeletedAt == null, cancellationToken);
            if (trunk is null)
            {
                return TrunkErrors.NotFound;
            }

            var checks = trunk.Direction is TrunkDirection.Outbound ? await probe.RunAsync(trunk, cancellationToken) : [];
            checks.Add(trunk.SyncedRevision == trunk.Revision
                ? new("livekit", true, trunk.LivekitTrunkId is null ? "No number is routed by this trunk yet: route one, and calls to it are taken." : "The media server has the trunk.")
                : new("livekit", false, $"The media server does not have the trunk yet: {trunk.SyncError ?? "it is on its way"}."));
            return new Response(checks.TrueForAll(c => c.Ok), checks);
        }
    }
}
