using System.Runtime.InteropServices;

namespace VoicePlatform.MediaServer.Transport;

/// <summary>How a client wants to publish, by the track ids of its sections (the cids of its announcements).</summary>
/// <param name="PlainOpus">Tracks that must not be sent with RED (AddTrackRequest.disable_red).</param>
/// <param name="Continuous">Tracks whose silence is sent, too (AddTrackRequest.disable_dtx).</param>
internal sealed record PublishingChoices(IReadOnlySet<string> PlainOpus, IReadOnlySet<string> Continuous)
{
    public static readonly PublishingChoices None = new(new HashSet<string>(), new HashSet<string>());
}

/// <summary>What an offer led to.</summary>
/// <param name="AnswerSdp">The answer to send to the client.</param>
/// <param name="MidToTrackId">Section (mid) → track sid, for the sections in which this server sends.</param>
/// <param name="Sending">The sections in which the client sends.</param>
/// <param name="MissingAudioSections">Subscriptions for which the offer had no free receiving section.</param>
internal sealed record Negotiated(
    string AnswerSdp,
    IReadOnlyDictionary<string, string> MidToTrackId,
    IReadOnlyList<OfferedSection> Sending,
    int MissingAudioSections);

/// <summary>A section in which the client sends.</summary>
/// <param name="Mid">The section's mid.</param>
/// <param name="Kind"><c>audio</c> or <c>video</c>.</param>
/// <param name="TrackId">The track id of the section's msid: the <c>cid</c> of the client's AddTrackRequest.</param>
/// <param name="Audio">The track as it arrives; null for video, which is refused.</param>
internal sealed record OfferedSection(string Mid, string Kind, string TrackId, InboundAudio? Audio);

/// <summary>Counters since the peer was made, and the latest figures of its RTCP reports.</summary>
/// <param name="PacketsIn">RTP packets received and authenticated.</param>
/// <param name="BytesIn">Bytes of those, headers included.</param>
/// <param name="PacketsOut">RTP packets sent.</param>
/// <param name="BytesOut">Bytes of those, headers included.</param>
/// <param name="PacketsLostIn">Packets of the published tracks that did not arrive.</param>
/// <param name="FractionLostIn">Share lost of the published tracks in the last report interval, 0 to 1.</param>
/// <param name="PacketsLostOut">Packets the client says it did not get.</param>
/// <param name="FractionLostOut">Share the client says it lost in its last reports, 0 to 1.</param>
/// <param name="RoundTrip">From the client's reports; zero until the first.</param>
/// <param name="JitterIn">Inter-arrival jitter of the published tracks, the worst of them.</param>
/// <param name="JitterOut">Inter-arrival jitter that the client reports, the worst of its tracks.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct PeerStats(
    long PacketsIn,
    long BytesIn,
    long PacketsOut,
    long BytesOut,
    long PacketsLostIn,
    double FractionLostIn,
    long PacketsLostOut,
    double FractionLostOut,
    TimeSpan RoundTrip,
    TimeSpan JitterIn,
    TimeSpan JitterOut);
