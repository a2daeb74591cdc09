using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Features;

/// <summary>A session, as it stands or as it ended.</summary>
internal static class GetSession
{
    public static void Map(RouteGroupBuilder sessions) => sessions
        .MapGet("/{id}", async (string id, HttpContext http, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id), ct)).ToHttp(r => Etag.Json(http, r)))
        .WithName(nameof(GetSession))
        .Produces<SessionView>();

    public sealed record Query(string TenantId, string SessionId) : IRequest<Result<SessionView>>;

    internal sealed class Handler(SessionDb db) : IRequestHandler<Query, Result<SessionView>>
    {
        public async Task<Result<SessionView>> Handle(Query request, CancellationToken cancellationToken) =>
            await db.Sessions.AsNoTracking().SingleOrDefaultAsync(s => s.Id == request.SessionId && s.TenantId == request.TenantId, cancellationToken) is { } session
                ? SessionView.Of(session)
                : SessionErrors.NotFound;
    }
}
