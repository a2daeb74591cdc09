using VoicePlatform.Calls.Data;
using VoicePlatform.Calls.Recording;

namespace VoicePlatform.Calls.Features;

/// <summary>What the call cost, line by line; nothing while it lasts.</summary>
internal static class GetCallCost
{
    private static readonly CostView Nothing = new(0, Credits.Unit, null, []);

    public static void Map(RouteGroupBuilder calls) => calls
        .MapGet("/{id}/cost", async (string id, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(GetCallCost))
        .Produces<CostView>();

    public sealed record Query(string TenantId, string CallId) : IRequest<Result<CostView>>;

    internal sealed class Handler(CallDb db, Recordings recordings) : IRequestHandler<Query, Result<CostView>>
    {
        public async Task<Result<CostView>> Handle(Query request, CancellationToken cancellationToken) =>
            await db.Calls.AsNoTracking().SingleOrDefaultAsync(c => c.Id == request.CallId && c.TenantId == request.TenantId, cancellationToken) is { } call
                ? CallView.Of(call, recordings.LinkOf(call)).Cost ?? Nothing
                : CallErrors.NotFound;
    }
}
