using VoicePlatform.SharedKernel.Outbox;

namespace VoicePlatform.Contracts.Calls;

/// <summary>An inbound call is accepted and paid for: its agent is to be sent to the room.</summary>
public sealed record InboundCallAccepted(string CallId, string SessionId, string RoomName, string AgentName) : IIntegrationEvent
{
    public static string Name => "call.inbound_accepted.v1";
}

/// <summary>Nobody may stay in this room: a call was refused or given up. Deleting it is what the telephone hears as busy or hung up.</summary>
public sealed record CallRoomUnwanted(string RoomName) : IIntegrationEvent
{
    public static string Name => "call.room_unwanted.v1";
}

/// <summary>A call that is to be recorded was answered.</summary>
public sealed record RecordingDue(string CallId, string RoomName) : IIntegrationEvent
{
    public static string Name => "call.recording_due.v1";
}

/// <summary>A recorded call is over: the recorder, should it still run, is to stop.</summary>
public sealed record RecordingOver(string CallId, string EgressId) : IIntegrationEvent
{
    public static string Name => "call.recording_over.v1";
}

/// <summary>LiveKit told it to seed 001's webhook, which answers before the work is done.</summary>
public sealed record TelephonyEventReceived(
    string EventId, string Kind, string RoomName, string Identity, string DisplayName, bool IsPhone, IReadOnlyDictionary<string, string> Attributes) : IIntegrationEvent
{
    public static string Name => "call.telephony_event.v1";
}
