using VoicePlatform.Calls.Data;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Calls.Features;

/// <summary>What was said so far, in order.</summary>
internal static class GetCallTranscript
{
    public static void Map(RouteGroupBuilder calls) => calls
        .MapGet("/{id}/transcript", async (string id, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(GetCallTranscript))
        .Produces<Response>();

    public sealed record Query(string TenantId, string CallId) : IRequest<Result<Response>>;

    public sealed record Response(IReadOnlyList<TranscriptLine> Data);

    internal sealed class Handler(CallDb db, IMediator mediator) : IRequestHandler<Query, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Query request, CancellationToken cancellationToken)
        {
            var call = await db.Calls.AsNoTracking().Where(c => c.Id == request.CallId && c.TenantId == request.TenantId).Select(c => new { c.SessionId }).SingleOrDefaultAsync(cancellationToken);
            if (call?.SessionId is not { } sessionId)
            {
                return call is null ? CallErrors.NotFound : new Response([]);
            }

            var session = await mediator.Send(new ReadSession(sessionId), cancellationToken);
            return session.IsOk ? new Response(session.Value.Transcript.Select(TranscriptLine.Of).ToList()) : session.Error;
        }
    }
}
