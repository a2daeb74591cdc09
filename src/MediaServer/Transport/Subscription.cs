using VoicePlatform.MediaServer.Transport.Rtp;

namespace VoicePlatform.MediaServer.Transport;

/// <summary>One track forwarded to one peer.</summary>
internal sealed class Subscription
{
    private volatile OutboundStream? _stream;

    internal Subscription(InboundAudio source, string streamId, string trackSid) => (Source, StreamId, TrackSid) = (source, streamId, trackSid);

    public string TrackSid { get; }

    public string StreamId { get; }

    public InboundAudio Source { get; }

    /// <summary>The section the track is in, null until a negotiation gave it one.</summary>
    public string? Mid { get; private set; }

    /// <summary>True stops forwarding without giving the section up (the subscriber disabled the track, or lost the permission).</summary>
    public bool Paused { get; set; }

    internal OutboundStream? Stream => _stream;

    internal void Assign(string mid, OutboundStream stream) => (Mid, _stream) = (mid, stream);

    internal void Release() => (Mid, _stream) = (null, null);

    internal void Forward(in RtpPacket packet, ReadOnlySpan<RedBlock> blocks, int epoch, byte level, long nowMs)
    {
        if (_stream is not { } stream)
        {
            return;
        }

        if (Paused)
        {
            stream.Skip();
            return;
        }

        stream.Forward(packet, blocks, epoch, level, nowMs);
    }
}
