using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Sessions.Features;

/// <summary>
/// Has a conversation analysed that is over, again or for the first time: as its assistant says, but for what the body has to say. The
/// answer is that it waits; analysis.ready or analysis.failed tells the rest.
/// </summary>
internal static class AnalyzeSession
{
    public static void Map(RouteGroupBuilder sessions) => sessions
        .MapPost("/{id}/analysis", async (string id, AnalysisChanges? changes, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new AskForAnalysis(caller.TenantId, id, changes), ct)).ToHttp(r => TypedResults.Json(r, Json.Options, statusCode: StatusCodes.Status202Accepted)))
        .WithName(nameof(AnalyzeSession))
        .Produces<ConversationAnalysis>(StatusCodes.Status202Accepted);
}
