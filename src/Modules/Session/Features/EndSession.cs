using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Features;

/// <summary>
/// Ends a conversation and answers how it went. Ending it again answers the same. Who has only its room's name (seed 004's voice
/// session tells nothing else) ends it by that.
/// </summary>
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
            var found = await db.Sessions.AsNoTracking()
                .Where(s => s.TenantId == caller.TenantId && (s.Id == command.SessionId || s.RoomName == command.SessionId))
                .OrderByDescending(s => s.Id)
                .Select(s => s.Id)
                .FirstOrDefaultAsync(cancellationToken);
            if (found is null)
            {
                return SessionErrors.NotFound;
            }

            var finished = await mediator.Send(new FinishSession(found, EndReasons.Requested), cancellationToken);
            return finished.IsOk
                ? SessionView.Of(await db.Sessions.AsNoTracking().SingleAsync(s => s.Id == found, cancellationToken))
                : finished.Error;
        }
    }
}
