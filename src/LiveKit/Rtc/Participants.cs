using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using VoicePlatform.LiveKit.Rtc.Ffi;
using VoicePlatform.LiveKit.Rtc.Native;
using DisconnectReason = VoicePlatform.LiveKit.Protocol.DisconnectReason;
using TrackSource = VoicePlatform.LiveKit.Protocol.TrackSource;

namespace VoicePlatform.LiveKit.Rtc;

/// <summary>Somebody in a room. Values are those last heard of; they change while the room lives.</summary>
public abstract class Participant
{
    private protected Participant(OwnedParticipant owned)
    {
        Handle = new FfiHandle(owned.Handle);
        Update(owned.Info);
    }

    public string Identity { get; private set; } = "";

    public string Sid { get; private set; } = "";

    public string Name { get; private set; } = "";

    public string Metadata { get; private set; } = "";

    public IReadOnlyDictionary<string, string> Attributes { get; private set; } = new Dictionary<string, string>(StringComparer.Ordinal);

    public Protocol.ParticipantInfo.Types.Kind Kind { get; private set; }

    internal FfiHandle Handle { get; }

    internal void Update(Ffi.ParticipantInfo info)
    {
        (Identity, Sid, Name, Metadata) = (info.Identity, info.Sid, info.Name, info.Metadata);
        Attributes = new Dictionary<string, string>(info.Attributes, StringComparer.Ordinal);
        Kind = info.Kind switch
        {
            ParticipantKind.Ingress => Protocol.ParticipantInfo.Types.Kind.Ingress,
            ParticipantKind.Egress => Protocol.ParticipantInfo.Types.Kind.Egress,
            ParticipantKind.Sip => Protocol.ParticipantInfo.Types.Kind.Sip,
            ParticipantKind.Agent => Protocol.ParticipantInfo.Types.Kind.Agent,
            ParticipantKind.Connector => Protocol.ParticipantInfo.Types.Kind.Connector,
            ParticipantKind.Bridge => Protocol.ParticipantInfo.Types.Kind.Bridge,
            _ => Protocol.ParticipantInfo.Types.Kind.Standard,
        };
    }

    internal void Rename(string name) => Name = name;

    internal void Describe(string metadata) => Metadata = metadata;

    internal void SetAttributes(IReadOnlyDictionary<string, string> attributes) => Attributes = attributes;
}

/// <summary>Somebody else in the room.</summary>
public sealed class RemoteParticipant : Participant
{
    private readonly ConcurrentDictionary<string, RemoteTrackPublication> _publications = new(StringComparer.Ordinal);

    internal RemoteParticipant(OwnedParticipant owned)
        : base(owned)
    {
    }

    /// <summary>Why the participant left, once it has.</summary>
    public DisconnectReason DisconnectReason { get; internal set; }

    /// <summary>Published tracks, by sid.</summary>
    public IReadOnlyDictionary<string, RemoteTrackPublication> Publications => _publications;

    internal RemoteTrackPublication Add(RemoteTrackPublication publication)
    {
        if (_publications.TryGetValue(publication.Sid, out var former))
        {
            former.Release();
        }

        return _publications[publication.Sid] = publication;
    }

    internal RemoteTrackPublication? Remove(string sid) => _publications.TryRemove(sid, out var publication) ? publication : null;

    internal void Release()
    {
        foreach (var (_, publication) in _publications)
        {
            publication.Release();
        }

        Handle.Dispose();
    }
}

/// <summary>A track somebody offers.</summary>
[SuppressMessage("Design", "CA1001", Justification = "The room releases it.")]
public sealed class RemoteTrackPublication
{
    private readonly FfiClient _client;
    private readonly FfiHandle _handle;

    internal RemoteTrackPublication(FfiClient client, OwnedTrackPublication owned)
    {
        _client = client;
        _handle = new FfiHandle(owned.Handle);
        (Sid, Name, Muted) = (owned.Info.Sid, owned.Info.Name, owned.Info.Muted);
        IsAudio = owned.Info.Kind == TrackKind.KindAudio;
        Source = (TrackSource)(int)owned.Info.Source;
    }

    public string Sid { get; }

    public string Name { get; }

    public bool IsAudio { get; }

    public TrackSource Source { get; }

    public bool Muted { get; internal set; }

    /// <summary>The received track; null while not subscribed.</summary>
    public RemoteTrack? Track { get; internal set; }

    /// <summary>Asks to receive the track, or no longer to.</summary>
    public void SetSubscribed(bool subscribed) =>
        _client.Send(new FfiRequest { SetSubscribed = new SetSubscribedRequest { PublicationHandle = _handle.Id, Subscribe = subscribed } });

    internal void Release()
    {
        Track?.Release();
        _handle.Dispose();
    }
}

/// <summary>A track that is being received.</summary>
[SuppressMessage("Design", "CA1001", Justification = "The room releases it.")]
public sealed class RemoteTrack
{
    private readonly FfiClient _client;
    private readonly FfiHandle _handle;

    internal RemoteTrack(FfiClient client, OwnedTrack owned)
    {
        _client = client;
        _handle = new FfiHandle(owned.Handle);
        (Sid, Name, IsAudio) = (owned.Info.Sid, owned.Info.Name, owned.Info.Kind == TrackKind.KindAudio);
    }

    public string Sid { get; }

    public string Name { get; }

    public bool IsAudio { get; }

    /// <summary>Receives the track's audio; several streams of one track are independent.</summary>
    public RemoteAudioStream OpenAudio(AudioStreamFormat? format = null) =>
        IsAudio ? new RemoteAudioStream(_client, _handle.Id, format ?? new AudioStreamFormat()) : throw new InvalidOperationException("The track carries no audio.");

    internal void Release() => _handle.Dispose();
}
