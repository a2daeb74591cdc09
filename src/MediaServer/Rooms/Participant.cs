using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.MediaServer.Signal;
using VoicePlatform.MediaServer.Transport;

namespace VoicePlatform.MediaServer.Rooms;

/// <summary>
/// Somebody in a room. All of it belongs to the room's loop: nothing here is touched from another thread, except where said.
/// </summary>
internal sealed class Participant
{
    private readonly Dictionary<string, string> _attributes = new(StringComparer.Ordinal);

    public required string Sid { get; init; }

    public required string Identity { get; init; }

    /// <summary>The key that signed the token; refreshed tokens are signed with the same.</summary>
    public required string ApiKeyId { get; init; }

    public required ParticipantInfo.Types.Kind Kind { get; init; }

    public required ClientInfo Client { get; init; }

    public required DateTimeOffset JoinedAt { get; init; }

    public required ParticipantPermission Permission { get; set; }

    public string Name { get; set; } = "";

    public string Metadata { get; set; } = "";

    public IReadOnlyDictionary<string, string> Attributes => _attributes;

    public ParticipantInfo.Types.State State { get; set; } = ParticipantInfo.Types.State.Joining;

    public DisconnectReason DisconnectReason { get; set; }

    /// <summary>Grows with every change that others are told of; clients drop older ones.</summary>
    public uint Version { get; set; }

    public bool AutoSubscribe { get; set; } = true;

    /// <summary>What carries its media; null only while joining.</summary>
    public IMediaPeer Peer { get; set; } = null!;

    /// <summary>It is inside this process: it has no socket that could be lost.</summary>
    public bool IsLocal => Peer is LocalPeer;

    /// <summary>The media connection stood at least once.</summary>
    public bool WasActive { get; set; }

    /// <summary>The signalling socket; null while it is lost.</summary>
    public SignalConnection? Signal { get; set; }

    /// <summary>When signalling was lost (<see cref="TimeProvider.GetTimestamp"/>).</summary>
    public long SignalLostAt { get; set; }

    /// <summary>When the media connection was lost, or, before it stood, when the participant joined.</summary>
    public long? MediaLostAt { get; set; }

    public long TokenSentAt { get; set; }

    /// <summary>A simulated scenario asked for the next resume to fail.</summary>
    public ResumeFault NextResume { get; set; }

    public List<PublishedTrack> Tracks { get; } = [];

    /// <summary>Announced with add_track, not yet in an offer.</summary>
    public List<PublishedTrack> Pending { get; } = [];

    /// <summary>By track sid.</summary>
    public Dictionary<string, TrackSubscription> Subscriptions { get; } = new(StringComparer.Ordinal);

    /// <summary>What this participant asked for by name, against <see cref="AutoSubscribe"/>; by track sid.</summary>
    public Dictionary<string, bool> SubscriptionChoices { get; } = new(StringComparer.Ordinal);

    public HashSet<string> DisabledTracks { get; } = new(StringComparer.Ordinal);

    /// <summary>Whom this participant lets hear its tracks.</summary>
    public SubscriptionPermission Audience { get; set; } = new() { AllParticipants = true };

    /// <summary>Asked the client to offer again; no offer came yet.</summary>
    public bool OfferRequested { get; set; }

    public long OfferRequestedAt { get; set; }

    public Outbox Outbox { get; } = new();

    /// <summary>Reliable messages this participant sent, for receivers that resume.</summary>
    public ReliableHistory Sent { get; } = new();

    /// <summary>Set by a transport thread when the room could not take a reliable message; the loop then ends the participant.</summary>
    public volatile bool LostReliableData;

    public PeerState LastMediaState { get; set; } = PeerState.Connecting;

    public SpeakerLevel Speaking { get; } = new();

    public ConnectionScore Quality { get; } = new();

    public bool IsHidden => Permission.Hidden;

    /// <summary>Is there for the sake of others (agent, recorder): does not count against the room's limit and does not keep it open.</summary>
    public bool IsDependent =>
        Kind is ParticipantInfo.Types.Kind.Agent or ParticipantInfo.Types.Kind.Egress || Permission.Agent || Permission.Recorder;

    public bool IsPublisher => Tracks.Count > 0 || HasPublished;

    public bool HasPublished { get; set; }

    /// <summary>Sets attributes; an empty value removes one.</summary>
    public void SetAttributes(IEnumerable<KeyValuePair<string, string>> changes)
    {
        foreach (var (key, value) in changes)
        {
            if (value.Length == 0)
            {
                _attributes.Remove(key);
            }
            else
            {
                _attributes[key] = value;
            }
        }
    }

    public bool Send(SignalResponse message) => Signal?.Send(message) ?? false;

    public ParticipantInfo ToInfo()
    {
        var info = new ParticipantInfo
        {
            Sid = Sid,
            Identity = Identity,
            Name = Name,
            Metadata = Metadata,
            State = State,
            JoinedAt = JoinedAt.ToUnixTimeSeconds(),
            JoinedAtMs = JoinedAt.ToUnixTimeMilliseconds(),
            Version = Version,
            Permission = ShownPermission(),
            IsPublisher = IsPublisher,
            Kind = Kind,
            DisconnectReason = DisconnectReason,
            ClientProtocol = Client.ClientProtocol,
        };
        info.Attributes.Add(_attributes);
        info.Capabilities.Add(Client.Capabilities);
        info.Tracks.Add(Tracks.Select(track => track.Info.Clone()));
        return info;
    }

    /// <summary>The permission as a grant for a token.</summary>
    public VideoGrant ToGrant(string room) => new()
    {
        RoomJoin = true,
        Room = room,
        CanPublish = Permission.CanPublish,
        CanSubscribe = Permission.CanSubscribe,
        CanPublishData = Permission.CanPublishData,
        CanUpdateOwnMetadata = Permission.CanUpdateMetadata,
        CanPublishSources = Permission.CanPublishSources.Count == 0 ? null : [.. Permission.CanPublishSources.Select(VideoGrant.NameOf)],
        CanSubscribeMetrics = Permission.CanSubscribeMetrics ? true : null,
        CanManageAgentSession = Permission.CanManageAgentSession ? true : null,
        Hidden = Permission.Hidden,
        Recorder = Permission.Recorder,
        Agent = Permission.Agent,
    };

    /// <summary>
    /// Without the sources of video, which this server does not forward: a client that knows it may not publish one fails at once and
    /// clearly, where it would wait ten seconds for an answer that says so.
    /// </summary>
    private ParticipantPermission ShownPermission()
    {
        var shown = Permission.Clone();
        if (shown.CanPublish && shown.CanPublishSources.Count == 0)
        {
            shown.CanPublishSources.Add([TrackSource.Unknown, TrackSource.Microphone, TrackSource.ScreenShareAudio]);
        }

        return shown;
    }
}

/// <summary>How the next resume is made to fail, for clients that test themselves.</summary>
internal enum ResumeFault
{
    None,
    CloseAfterAnswer,
    CloseAtOnce,
}

/// <summary>A track a participant announced and, once <see cref="Audio"/> is there, sends.</summary>
internal sealed class PublishedTrack(Participant publisher, string cid, TrackInfo info)
{
    public Participant Publisher => publisher;

    /// <summary>The client's own id for it: the track id of its SDP section.</summary>
    public string Cid => cid;

    public TrackInfo Info => info;

    public string Sid => info.Sid;

    public InboundAudio? Audio { get; set; }

    /// <summary>The publisher was told that somebody hears it.</summary>
    public bool AnnouncedSubscribed { get; set; }
}

/// <summary>A participant's subscription to somebody's track.</summary>
internal sealed record TrackSubscription(PublishedTrack Track, Subscription Forwarding)
{
    /// <summary>The subscriber's SDP has a section for it.</summary>
    public bool IsNegotiated { get; set; }
}
