using VoicePlatform.Calls.Data;
using VoicePlatform.Calls.Recording;

namespace VoicePlatform.Calls.Features;

/// <summary>A call, as it stands or as it ended.</summary>
internal static class GetCall
{
    public static void Map(RouteGroupBuilder calls) => calls
        .MapGet("/{id}", async (string id, HttpContext http, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id), ct)).ToHttp(r => Etag.Json(http, r)))
        .WithName(nameof(GetCall))
        .Produces<CallView>();

    public sealed record Query(string TenantId, string CallId) : IRequest<Result<CallView>>;

    internal sealed class Handler(CallDb db, Recordings recordings) : IRequestHandler<Query, Result<CallView>>
    {
        public async Task<Result<CallView>> Handle(Query request, CancellationToken cancellationToken) =>
            await db.Calls.AsNoTracking().SingleOrDefaultAsync(c => c.Id == request.CallId && c.TenantId == request.TenantId, cancellationToken) is { } call
                ? CallView.Of(call, recordings.LinkOf(call))
                : CallErrors.NotFound;
    }
}
