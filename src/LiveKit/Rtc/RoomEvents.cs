using VoicePlatform.LiveKit.Protocol;

namespace VoicePlatform.LiveKit.Rtc;

/// <summary>Something that happened in a room. The set is closed: the records inside.</summary>
public abstract record RoomEvent
{
    private RoomEvent()
    {
    }

    public sealed record ParticipantConnected(RemoteParticipant Participant) : RoomEvent;

    /// <summary>The participant's media connection is up.</summary>
    public sealed record ParticipantActive(Participant Participant) : RoomEvent;

    public sealed record ParticipantDisconnected(RemoteParticipant Participant, DisconnectReason Reason) : RoomEvent;

    public sealed record TrackPublished(RemoteParticipant Participant, RemoteTrackPublication Publication) : RoomEvent;

    public sealed record TrackUnpublished(RemoteParticipant Participant, RemoteTrackPublication Publication) : RoomEvent;

    public sealed record TrackSubscribed(RemoteParticipant Participant, RemoteTrackPublication Publication, RemoteTrack Track) : RoomEvent;

    public sealed record TrackUnsubscribed(RemoteParticipant Participant, string TrackSid) : RoomEvent;

    public sealed record TrackSubscriptionFailed(string ParticipantIdentity, string TrackSid, string Error) : RoomEvent;

    /// <summary>A track was muted or unmuted, ours included.</summary>
    public sealed record TrackMuteChanged(Participant Participant, string TrackSid, bool Muted) : RoomEvent;

    /// <summary>Somebody receives a track of ours for the first time.</summary>
    public sealed record LocalTrackSubscribed(string TrackSid) : RoomEvent;

    /// <param name="Changed">Only what changed; an empty value was removed.</param>
    public sealed record AttributesChanged(Participant Participant, IReadOnlyDictionary<string, string> Changed) : RoomEvent;

    public sealed record ParticipantMetadataChanged(Participant Participant, string Metadata) : RoomEvent;

    public sealed record ParticipantNameChanged(Participant Participant, string Name) : RoomEvent;

    public sealed record RoomMetadataChanged(string Metadata) : RoomEvent;

    /// <param name="SenderIdentity">Empty when the server sent it.</param>
    public sealed record DataReceived(string SenderIdentity, ReadOnlyMemory<byte> Data, string Topic, bool Reliable) : RoomEvent;

    /// <param name="Digit">0 to 9, * or #.</param>
    public sealed record DtmfReceived(string SenderIdentity, uint Code, string Digit) : RoomEvent;

    /// <param name="Identities">Loudest first.</param>
    public sealed record ActiveSpeakersChanged(IReadOnlyList<string> Identities) : RoomEvent;

    public sealed record ConnectionQualityChanged(string ParticipantIdentity, ConnectionQuality Quality) : RoomEvent;

    public sealed record ConnectionStateChanged(RoomConnectionState State) : RoomEvent;

    /// <summary>The connection broke; the library is mending it.</summary>
    public sealed record Reconnecting : RoomEvent;

    public sealed record Reconnected : RoomEvent;

    /// <summary>The connection has ended for good. The last event but <see cref="Ended"/>.</summary>
    public sealed record Disconnected(DisconnectReason Reason) : RoomEvent;

    /// <summary>No more events will come.</summary>
    public sealed record Ended : RoomEvent;
}

public enum RoomConnectionState
{
    Disconnected = 0,
    Connected = 1,
    Reconnecting = 2,
}
