using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Features;

/// <summary>Ends a conversation and answers how it went. Ending it again answers the same.</summary>
internal static class EndSession
{
    public static void Map(RouteGroupBuilder sessions) => sessions
        .MapPost("/{id}/end", async (string id, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(id), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(EndSession))
        .Produces<SessionView>();

    public sealed record Command(string SessionId) : ICommand<SessionView>;

    internal sealed class Handler(SessionDb db, IMediator mediator, Caller caller) : IRequestHandler<Command, Result<SessionView>>
    {
        public async Task<Result<SessionView>> Handle(Command command, CancellationToken cancellationToken)
        {
            if (!await db.Sessions.AnyAsync(s => s.Id == command.SessionId && s.TenantId == caller.TenantId, cancellationToken))
            {
                return SessionErrors.NotFound;
            }

            var finished = await mediator.Send(new FinishSession(command.SessionId, EndReasons.Requested), cancellationToken);
            return finished.IsOk
                ? SessionView.Of(await db.Sessions.AsNoTracking().SingleAsync(s => s.Id == command.SessionId, cancellationToken))
                : finished.Error;
        }
    }
}
