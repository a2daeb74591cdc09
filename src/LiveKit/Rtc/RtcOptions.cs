using VoicePlatform.LiveKit.Protocol;

namespace VoicePlatform.LiveKit.Rtc;

/// <summary>Where LiveKit's client library is.</summary>
/// <param name="LibraryPath">The library, or the <c>.node</c> file of LiveKit's npm package that <c>eng/livekit-native</c> fetches.</param>
/// <param name="CacheDirectory">Where a loadable copy is kept if the file does not load as it is.</param>
public sealed record RtcLibrary(string LibraryPath, string CacheDirectory);

/// <summary>How to join a room.</summary>
public sealed record RoomOptions
{
    /// <summary>Receive every track without asking for it.</summary>
    public bool AutoSubscribe { get; init; } = true;

    /// <summary>How long one try to connect may last; 1 to 60 s.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How often a failed try is repeated, 0 to 10.</summary>
    public int JoinRetries { get; init; } = 1;

    /// <summary>Events that wait for the application; then the oldest is lost, and counted.</summary>
    public int EventQueue { get; init; } = 1024;
}

/// <summary>How a track is published.</summary>
public sealed record AudioPublishOptions
{
    public string Name { get; init; } = "audio";

    public TrackSource Source { get; init; } = TrackSource.Microphone;

    /// <summary>Send nothing while silent. Off: a listener's jitter buffer then never has to start anew in front of a word.</summary>
    public bool Dtx { get; init; }

    /// <summary>Send every packet twice, which hides single losses.</summary>
    public bool Red { get; init; } = true;

    /// <summary>Bits per second; null: the library's choice for speech.</summary>
    public int? MaxBitrate { get; init; }
}

/// <summary>A text stream's description.</summary>
public sealed record TextStreamOptions
{
    public required string Topic { get; init; }

    /// <summary>Null: the library makes one up.</summary>
    public string? StreamId { get; init; }

    public IReadOnlyDictionary<string, string> Attributes { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    public string? ReplyToStreamId { get; init; }

    /// <summary>Receivers; empty: everybody.</summary>
    public IReadOnlyList<string> Destinations { get; init; } = [];

    /// <summary>Whom the text is from, if not from us: a transcription is sent in the name of the speaker.</summary>
    public string? SenderIdentity { get; init; }
}
