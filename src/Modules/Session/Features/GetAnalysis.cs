using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Features;

/// <summary>What was found out about a conversation when it was over.</summary>
internal static class GetAnalysis
{
    public static void Map(RouteGroupBuilder sessions) => sessions
        .MapGet("/{id}/analysis", async (string id, HttpContext http, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id), ct)).ToHttp(r => Etag.Json(http, r)))
        .WithName(nameof(GetAnalysis))
        .Produces<ConversationAnalysis>();

    public sealed record Query(string TenantId, string SessionId) : IRequest<Result<ConversationAnalysis>>;

    internal sealed class Handler(SessionDb db, IMediator mediator) : IRequestHandler<Query, Result<ConversationAnalysis>>
    {
        public async Task<Result<ConversationAnalysis>> Handle(Query request, CancellationToken cancellationToken) =>
            await db.Sessions.AnyAsync(s => s.Id == request.SessionId && s.TenantId == request.TenantId, cancellationToken)
                ? await mediator.Send(new ReadAnalysis(request.SessionId), cancellationToken)
                : SessionErrors.NotFound;
    }
}
