using VoicePlatform.Calls.Data;
using VoicePlatform.Contracts.Calls;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.ServerApi;

namespace VoicePlatform.Calls.Reactions;

/// <summary>Sends the agent to an inbound caller; only once, however often the fact is delivered.</summary>
internal sealed class OnInboundCallAccepted(CallDb db, LiveKitApi livekit) : INotificationHandler<InboundCallAccepted>
{
    public async Task Handle(InboundCallAccepted notification, CancellationToken cancellationToken)
    {
        if (!await db.Calls.AnyAsync(c => c.Id == notification.CallId && c.Status == CallStatus.Ringing, cancellationToken))
        {
            return;
        }

        var metadata = Json.Write(new { session_id = notification.SessionId });
        try
        {
            if ((await livekit.Dispatches.ListAsync(notification.RoomName, null, cancellationToken)).Any(d => d.Metadata == metadata))
            {
                return;
            }
        }
        catch (LiveKitApiException e) when (e.Code == "not_found")
        {
            // The room is gone, and with it the caller; the webhook of that ends the call.
            return;
        }

        await livekit.Dispatches.CreateAsync(
            new CreateAgentDispatchRequest { Room = notification.RoomName, AgentName = notification.AgentName, Metadata = metadata }, cancellationToken);
    }
}

internal sealed class OnCallRoomUnwanted(LiveKitApi livekit) : INotificationHandler<CallRoomUnwanted>
{
    public async Task Handle(CallRoomUnwanted notification, CancellationToken cancellationToken)
    {
        try
        {
            await livekit.Rooms.DeleteAsync(notification.RoomName, cancellationToken);
        }
        catch (LiveKitApiException e) when (e.Code == "not_found")
        {
            // Gone already.
        }
    }
}
