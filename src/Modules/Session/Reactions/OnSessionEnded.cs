using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Reactions;

/// <summary>Closes the room of a session that has ended, whoever ended it; the media server may be away for a while.</summary>
internal sealed class OnSessionEnded(SessionDb db, SessionRooms rooms) : INotificationHandler<SessionEnded>
{
    public async Task Handle(SessionEnded notification, CancellationToken cancellationToken)
    {
        // A room that a caller named may have its next conversation by now.
        if (!await db.Sessions.AnyAsync(s => s.RoomName == notification.RoomName && s.Status != SessionStatus.Ended, cancellationToken))
        {
            await rooms.DeleteAsync(notification.RoomName, cancellationToken);
        }
    }
}
