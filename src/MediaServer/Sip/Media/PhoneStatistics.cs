namespace VoicePlatform.MediaServer.Sip.Media;

/// <summary>What one call's audio went through so far.</summary>
internal sealed record PhoneStatistics
{
    public long PacketsSent { get; init; }

    /// <summary>Whole RTP packets, without UDP and IP headers.</summary>
    public long BytesSent { get; init; }

    /// <summary>Packets the system did not take: no route, or its buffer is full.</summary>
    public long NotSent { get; init; }

    public long PacketsReceived { get; init; }

    public long BytesReceived { get; init; }

    /// <summary>Received packets missing by their sequence numbers.</summary>
    public long Lost { get; init; }

    /// <summary>Received too late to be heard.</summary>
    public long Late { get; init; }

    /// <summary>Sound made up where packets were missing.</summary>
    public TimeSpan Concealed { get; init; }

    /// <summary>Interarrival jitter of what is received (RFC 3550).</summary>
    public TimeSpan Jitter { get; init; }

    /// <summary>How much received audio waits to be heard.</summary>
    public TimeSpan Buffered { get; init; }

    /// <summary>The longest that a packet of ours was sent after its time.</summary>
    public TimeSpan MaxLateness { get; init; }

    /// <summary>Packets of ours sent more than 20 ms after their time.</summary>
    public long SentLate { get; init; }

    /// <summary>Frames of ours never sent because this machine stood still.</summary>
    public long Skipped { get; init; }

    public long DtmfSent { get; init; }

    public long DtmfReceived { get; init; }

    /// <summary>How often the other side began a new stream or jumped in time.</summary>
    public long Restarts { get; init; }

    /// <summary>Packets from addresses that have no part in the call.</summary>
    public long Strangers { get; init; }

    /// <summary>Packets that are malformed, forged, replayed or of a payload type that was not agreed.</summary>
    public long Refused { get; init; }

    /// <summary>What the other side says it did not get of ours, from its receiver reports.</summary>
    public long LostThere { get; init; }

    /// <summary>To the other side and back, from its receiver reports; zero while unknown.</summary>
    public TimeSpan RoundTrip { get; init; }
}
