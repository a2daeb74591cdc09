namespace VoicePlatform.MediaServer.Transport;

/// <summary>One track forwarded to one peer.</summary>
internal sealed class Subscription
{
    internal Subscription(InboundAudio source, string streamId, string trackSid) => (Source, StreamId, TrackSid) = (source, streamId, trackSid);

    public string TrackSid { get; }

    public string StreamId { get; }

    public InboundAudio Source { get; }

    /// <summary>The section the track is in, null until a negotiation gave it one.</summary>
    public string? Mid { get; internal set; }

    /// <summary>True stops forwarding without giving the section up (the subscriber disabled the track, or lost the permission).</summary>
    public bool Paused { get; set; }
}
