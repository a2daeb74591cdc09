using VoicePlatform.Contracts.Sessions;
using VoicePlatform.LiveKit.ServerApi;

namespace VoicePlatform.Sessions.Reactions;

/// <summary>Closes the room of a session that has ended, whoever ended it; the media server may be away for a while.</summary>
internal sealed class OnSessionEnded(LiveKitApi livekit) : INotificationHandler<SessionEnded>
{
    public async Task Handle(SessionEnded notification, CancellationToken cancellationToken)
    {
        try
        {
            await livekit.Rooms.DeleteAsync(notification.RoomName, cancellationToken);
        }
        catch (LiveKitApiException e) when (e.Code == "not_found")
        {
            // Gone already, or never made.
        }
    }
}
