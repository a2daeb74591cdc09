using VoicePlatform.Calls.Data;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Calls.Features;

/// <summary>What was found out about a call when it was over.</summary>
internal static class GetCallAnalysis
{
    public static void Map(RouteGroupBuilder calls) => calls
        .MapGet("/{id}/analysis", async (string id, HttpContext http, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id), ct)).ToHttp(r => Etag.Json(http, r)))
        .WithName(nameof(GetCallAnalysis))
        .Produces<ConversationAnalysis>();

    public sealed record Query(string TenantId, string CallId) : IRequest<Result<ConversationAnalysis>>;

    internal sealed class Handler(CallDb db, IMediator mediator) : IRequestHandler<Query, Result<ConversationAnalysis>>
    {
        public async Task<Result<ConversationAnalysis>> Handle(Query request, CancellationToken cancellationToken)
        {
            var call = await db.Calls.AsNoTracking().Where(c => c.Id == request.CallId && c.TenantId == request.TenantId).Select(c => new { c.SessionId }).SingleOrDefaultAsync(cancellationToken);
            return call is null ? CallErrors.NotFound
                : call.SessionId is { } sessionId ? await mediator.Send(new ReadAnalysis(sessionId), cancellationToken)
                : CallErrors.NoAnalysis;
        }
    }
}
