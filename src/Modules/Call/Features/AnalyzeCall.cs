using VoicePlatform.Calls.Data;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Calls.Features;

/// <summary>
/// Has a call analysed that is over, again or for the first time: as its assistant says, but for what the body has to say. The answer is
/// that it waits; analysis.ready or analysis.failed tells the rest.
/// </summary>
internal static class AnalyzeCall
{
    public static void Map(RouteGroupBuilder calls) => calls
        .MapPost("/{id}/analysis", async (string id, AnalysisChanges? changes, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(id, changes), ct)).ToHttp(r => TypedResults.Json(r, Json.Options, statusCode: StatusCodes.Status202Accepted)))
        .WithName(nameof(AnalyzeCall))
        .Produces<ConversationAnalysis>(StatusCodes.Status202Accepted);

    public sealed record Command(string CallId, AnalysisChanges? Changes) : ICommand<ConversationAnalysis>;

    internal sealed class Handler(CallDb db, IMediator mediator, Caller caller) : IRequestHandler<Command, Result<ConversationAnalysis>>
    {
        public async Task<Result<ConversationAnalysis>> Handle(Command command, CancellationToken cancellationToken)
        {
            var call = await db.Calls.AsNoTracking().SingleOrDefaultAsync(c => c.Id == command.CallId && c.TenantId == caller.TenantId, cancellationToken);
            return call is null ? CallErrors.NotFound
                : !call.IsOver ? CallErrors.NotOver
                : call is { SessionId: { } sessionId, AnsweredAt: not null } ? await mediator.Send(new AskForAnalysis(caller.TenantId, sessionId, command.Changes), cancellationToken)
                : CallErrors.NothingSaid;
        }
    }
}
