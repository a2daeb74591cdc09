using System.Text.Json.Serialization;
using VoicePlatform.LiveKit.Protocol;

namespace VoicePlatform.LiveKit.Tokens;

/// <summary>
/// What a token allows in rooms: LiveKit's <c>video</c> claim. A null permission is an absent claim, which is not the same as a
/// refused one; ask the <c>May…</c> properties, which know what absence means.
/// </summary>
public sealed record VideoGrant
{
    public bool RoomCreate { get; init; }

    public bool RoomList { get; init; }

    public bool RoomRecord { get; init; }

    /// <summary>Administration of <see cref="Room"/> only.</summary>
    public bool RoomAdmin { get; init; }

    public bool RoomJoin { get; init; }

    /// <summary>The room that <see cref="RoomJoin"/> and <see cref="RoomAdmin"/> speak of.</summary>
    public string? Room { get; init; }

    /// <summary>The room a participant may be moved or forwarded to.</summary>
    public string? DestinationRoom { get; init; }

    public bool? CanPublish { get; init; }

    public bool? CanSubscribe { get; init; }

    public bool? CanPublishData { get; init; }

    /// <summary>camera, microphone, screen_share, screen_share_audio; empty or absent: all of them.</summary>
    public IReadOnlyList<string>? CanPublishSources { get; init; }

    public bool? CanUpdateOwnMetadata { get; init; }

    public bool? CanSubscribeMetrics { get; init; }

    public bool? CanManageAgentSession { get; init; }

    public bool IngressAdmin { get; init; }

    /// <summary>Invisible to the other participants.</summary>
    public bool Hidden { get; init; }

    public bool Recorder { get; init; }

    /// <summary>May register as a worker on the <c>/agent</c> socket, and joins as an agent.</summary>
    public bool Agent { get; init; }

    [JsonIgnore]
    public bool MayPublish => CanPublish ?? true;

    [JsonIgnore]
    public bool MaySubscribe => CanSubscribe ?? true;

    /// <summary>Absent follows <see cref="MayPublish"/>, as in LiveKit.</summary>
    [JsonIgnore]
    public bool MayPublishData => CanPublishData ?? MayPublish;

    [JsonIgnore]
    public bool MayUpdateOwnMetadata => CanUpdateOwnMetadata ?? false;

    /// <summary>Whether a track of this source may be published.</summary>
    public bool MayPublishSource(TrackSource source) =>
        MayPublish && (CanPublishSources is not { Count: > 0 } sources || sources.Contains(NameOf(source), StringComparer.OrdinalIgnoreCase));

    /// <summary>The same rights as a participant's permission message.</summary>
    public ParticipantPermission ToPermission()
    {
        var permission = new ParticipantPermission
        {
            CanPublish = MayPublish,
            CanSubscribe = MaySubscribe,
            CanPublishData = MayPublishData,
            CanUpdateMetadata = MayUpdateOwnMetadata,
            CanSubscribeMetrics = CanSubscribeMetrics ?? false,
            CanManageAgentSession = CanManageAgentSession ?? false,
            Hidden = Hidden,
            Recorder = Recorder,
            Agent = Agent,
        };
        foreach (var name in CanPublishSources ?? [])
        {
            if (SourceOf(name) is { } source)
            {
                permission.CanPublishSources.Add(source);
            }
        }

        return permission;
    }

    /// <summary>How a token names a source.</summary>
    public static string NameOf(TrackSource source) => source switch
    {
        TrackSource.Camera => "camera",
        TrackSource.Microphone => "microphone",
        TrackSource.ScreenShare => "screen_share",
        TrackSource.ScreenShareAudio => "screen_share_audio",
        _ => "unknown",
    };

    private static TrackSource? SourceOf(string? name) => name?.ToUpperInvariant() switch
    {
        "CAMERA" => TrackSource.Camera,
        "MICROPHONE" => TrackSource.Microphone,
        "SCREEN_SHARE" => TrackSource.ScreenShare,
        "SCREEN_SHARE_AUDIO" => TrackSource.ScreenShareAudio,
        _ => null,
    };
}

/// <summary>The <c>sip</c> claim.</summary>
public sealed record SipGrant
{
    /// <summary>Trunks and dispatch rules.</summary>
    public bool Admin { get; init; }

    /// <summary>Dialling and transferring.</summary>
    public bool Call { get; init; }
}

/// <summary>The <c>agent</c> claim.</summary>
public sealed record AgentGrant
{
    public bool Admin { get; init; }
}

/// <summary>The <c>inference</c> claim.</summary>
public sealed record InferenceGrant
{
    public bool Perform { get; init; }
}
