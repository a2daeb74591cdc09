using Google.Protobuf;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Transport;

namespace VoicePlatform.MediaServer.Rooms;

/// <summary>Who joins a room from inside this process.</summary>
internal sealed record LocalJoin
{
    public required string Identity { get; init; }

    public required ParticipantInfo.Types.Kind Kind { get; init; }

    public required ParticipantPermission Permission { get; init; }

    public string Name { get; init; } = "";

    public string Metadata { get; init; } = "";

    public IReadOnlyDictionary<string, string> Attributes { get; init; } = new Dictionary<string, string>();
}

/// <summary>
/// What happens to a participant of this process. Called on the room's loop: an implementation must not block, must not throw, and
/// must not wait for the room.
/// </summary>
internal interface ILocalObserver
{
    /// <summary>Somebody's track can be heard from now on; null when it need not be.</summary>
    IAudioSink? OnTrack(ParticipantInfo publisher, TrackInfo track);

    void OnTrackEnded(string trackSid);

    /// <summary>A message of another participant or of the server.</summary>
    void OnData(DataPacket packet);

    /// <summary>Somebody else came, left or changed.</summary>
    void OnOthersChanged();

    /// <summary>It is no longer in the room, whoever wanted that. The last call.</summary>
    void OnLeft(DisconnectReason reason);
}

/// <summary>
/// A participant inside this process, a telephone leg or a recorder: everybody else meets it as any other. Thread-safe; what it does
/// to a room that has ended, or after it left, has no effect.
/// </summary>
internal sealed class LocalParticipant
{
    private readonly Room _room;
    private readonly Participant _participant;

    internal LocalParticipant(Room room, Participant participant) => (_room, _participant) = (room, participant);

    public string Sid => _participant.Sid;

    public string Identity => _participant.Identity;

    public Room Room => _room;

    /// <summary>Publishes a microphone track; what is sent to the result is heard in the room.</summary>
    /// <exception cref="RoomClosedException">The room has ended.</exception>
    public Task<InjectedAudio> PublishAsync(string name, CancellationToken cancellationToken) =>
        _room.AskAsync(() => _room.PublishLocal(_participant, name), cancellationToken);

    /// <summary>Hears all tracks there are and will be.</summary>
    public ValueTask ListenAsync(CancellationToken cancellationToken) => _room.PostAsync(() => _room.ListenLocal(_participant), cancellationToken);

    /// <summary>An empty value removes an attribute.</summary>
    public ValueTask SetAttributesAsync(IReadOnlyDictionary<string, string> attributes, CancellationToken cancellationToken) =>
        _room.PostAsync(() => _room.UpdateLocal(_participant, attributes), cancellationToken);

    /// <summary>Sends a message to everybody, in this participant's name.</summary>
    public ValueTask SendAsync(DataPacket packet, CancellationToken cancellationToken) =>
        _room.PostAsync(() => _room.OnData(_participant, DataChannelKind.Reliable, packet.ToByteArray()), cancellationToken);

    public ValueTask LeaveAsync(DisconnectReason reason) =>
        _room.PostAsync(() => _room.RemoveLocal(_participant, reason), CancellationToken.None);
}

/// <summary>The media side of a <see cref="LocalParticipant"/>: sinks instead of a connection. Everything happens on the room's loop.</summary>
internal sealed class LocalPeer(Room room, ILocalObserver observer) : IMediaPeer
{
    private readonly Dictionary<string, IDisposable> _sinks = new(StringComparer.Ordinal);
    private bool _isDisposed;

    /// <summary>Set when the room made it.</summary>
    public Participant? Owner { get; set; }

    public PeerState State => _isDisposed ? PeerState.Closed : PeerState.Connected;

    public PeerStats Stats => default;

    public bool NeedsNegotiation => false;

    public int MissingAudioSections => 0;

    public bool IsReliableOpen => true;

    public bool SendData(DataChannelKind channel, ReadOnlySpan<byte> message)
    {
        observer.OnData(DataPacket.Parser.ParseFrom(message));
        return true;
    }

    public Subscription Subscribe(InboundAudio source, string streamId, string trackSid)
    {
        if (room.FindPublished(trackSid) is { } track && observer.OnTrack(track.Publisher.ToInfo(), track.Info.Clone()) is { } sink)
        {
            _sinks[trackSid] = source.AddSink(sink);
        }

        return new Subscription(source, streamId, trackSid);
    }

    public void Unsubscribe(Subscription subscription)
    {
        if (_sinks.Remove(subscription.TrackSid, out var sink))
        {
            sink.Dispose();
            observer.OnTrackEnded(subscription.TrackSid);
        }
    }

    public void OthersChanged() => observer.OnOthersChanged();

    public ValueTask DisposeAsync()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            foreach (var sink in _sinks.Values)
            {
                sink.Dispose();
            }

            _sinks.Clear();
            observer.OnLeft(Owner?.DisconnectReason ?? DisconnectReason.UnknownReason);
        }

        return ValueTask.CompletedTask;
    }
}
