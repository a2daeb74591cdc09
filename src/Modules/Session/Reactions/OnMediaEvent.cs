using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Reactions;

/// <summary>A room that is over ends its session, in case the agent could not say so.</summary>
internal sealed class OnMediaEvent(SessionDb db, SessionRooms rooms, IMediator mediator) : INotificationHandler<MediaEvent>
{
    public async Task Handle(MediaEvent notification, CancellationToken cancellationToken)
    {
        if (notification.Kind != "room_finished")
        {
            return;
        }

        var session = await db.Sessions.AsNoTracking().Where(s => s.RoomName == notification.RoomName && s.Status != SessionStatus.Ended)
            .Select(s => new { s.Id, s.Status }).SingleOrDefaultAsync(cancellationToken);
        if (session is null)
        {
            return;
        }

        // The end of an earlier room of this name may be told late.
        if (await db.Sessions.AnyAsync(s => s.RoomName == notification.RoomName && s.Status == SessionStatus.Ended, cancellationToken)
            && await rooms.ExistsAsync(notification.RoomName, cancellationToken))
        {
            return;
        }

        var finished = await mediator.Send(
            new FinishSession(session.Id, session.Status is SessionStatus.Created ? EndReasons.NeverStarted : EndReasons.CallerLeft), cancellationToken);
        if (!finished.IsOk)
        {
            throw new InvalidOperationException($"Session {session.Id} could not be ended: {finished.Error.Code}.");
        }
    }
}
