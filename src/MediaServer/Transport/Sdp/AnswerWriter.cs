using System.Net;
using System.Net.Sockets;
using System.Text;
using VoicePlatform.MediaServer.Transport.Dtls;
using VoicePlatform.MediaServer.Transport.Ice;
using VoicePlatform.MediaServer.Transport.Rtp;
using VoicePlatform.MediaServer.Transport.Sctp;

namespace VoicePlatform.MediaServer.Transport.Sdp;

/// <summary>What every section of an answer says about the transport.</summary>
internal sealed record AnswerTransport(IceCredentials Ice, CertificateFingerprint Fingerprint, bool IsDtlsClient, IPEndPoint Candidate, ulong SessionId, int Version);

/// <summary>How one offered section is answered.</summary>
internal abstract record AnsweredSection(OfferedMedia Offer)
{
    /// <summary>Port 0: nothing here can be used.</summary>
    internal sealed record Rejected(OfferedMedia Offer) : AnsweredSection(Offer);

    /// <summary>Known but not used, now or (video) ever. The client keeps the section.</summary>
    internal sealed record Idle(OfferedMedia Offer, AudioFormat? Audio) : AnsweredSection(Offer);

    /// <summary>The client sends.</summary>
    /// <param name="IsDiscontinuous">The client may leave silence out (DTX).</param>
    internal sealed record Receiving(OfferedMedia Offer, AudioFormat Audio, bool IsDiscontinuous) : AnsweredSection(Offer);

    /// <summary>The server sends a track.</summary>
    internal sealed record Sending(OfferedMedia Offer, AudioFormat Audio, Subscription Subscription, OutboundStream Stream) : AnsweredSection(Offer);

    internal sealed record Data(OfferedMedia Offer) : AnsweredSection(Offer);
}

/// <summary>Writes answers of an ICE-lite server: sections in the order of the offer, one transport for all.</summary>
internal static class AnswerWriter
{
    public const string LevelUri = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
    public const string MidUri = "urn:ietf:params:rtp-hdrext:sdes:mid";

    // Host candidate, component 1, of the highest local preference (RFC 8445 section 5.1.2).
    private const uint HostPriority = (126u << 24) | (65_535u << 8) | 255u;

    public static string Write(AnswerTransport transport, IReadOnlyList<AnsweredSection> sections)
    {
        var sdp = new StringBuilder(1_024 + (sections.Count * 512));
        sdp.Append("v=0\r\no=- ").Append(transport.SessionId).Append(' ').Append(transport.Version).Append(" IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n");
        sdp.Append("a=group:BUNDLE");
        foreach (var section in sections.Where(s => s is not AnsweredSection.Rejected))
        {
            sdp.Append(' ').Append(section.Offer.Mid);
        }

        sdp.Append("\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS *\r\na=ice-lite\r\n");
        var needsCandidate = true;
        foreach (var section in sections)
        {
            WriteSection(sdp, section);
            if (section is AnsweredSection.Rejected)
            {
                continue;
            }

            WriteTransport(sdp, transport, needsCandidate);
            needsCandidate = false;
        }

        return sdp.ToString();
    }

    private static void WriteSection(StringBuilder sdp, AnsweredSection section)
    {
        var offer = section.Offer;
        switch (section)
        {
            case AnsweredSection.Rejected:
                sdp.Append("m=").Append(offer.Kind).Append(" 0 ").Append(offer.Protocol).Append(' ').Append(offer.Formats[0]).Append("\r\n");
                sdp.Append("c=IN IP4 0.0.0.0\r\n");
                if (offer.Mid.Length > 0)
                {
                    sdp.Append("a=mid:").Append(offer.Mid).Append("\r\n");
                }

                sdp.Append("a=inactive\r\n");
                break;
            case AnsweredSection.Data:
                Head(sdp, offer, "webrtc-datachannel");
                sdp.Append("a=sctp-port:5000\r\na=max-message-size:").Append(SctpAssociation.MaxMessage).Append("\r\n");
                break;
            case AnsweredSection.Idle { Audio: null }:
                Head(sdp, offer, offer.Formats[0]);
                Codec(sdp, offer, offer.Formats[0]);
                sdp.Append("a=inactive\r\na=rtcp-mux\r\n");
                break;
            case AnsweredSection.Idle idle:
                Audio(sdp, offer, idle.Audio, redFirst: false, "inactive");
                break;
            case AnsweredSection.Receiving receiving:
                // The client sends the first format of the answer.
                Audio(sdp, offer, receiving.Audio, redFirst: true, "recvonly", receiving.IsDiscontinuous);
                break;
            case AnsweredSection.Sending sending:
                Audio(sdp, offer, sending.Audio, redFirst: false, "sendonly");
                var msid = $"{sending.Subscription.StreamId} {sending.Subscription.TrackSid}";
                sdp.Append("a=msid:").Append(msid).Append("\r\n");
                sdp.Append("a=ssrc:").Append(sending.Stream.Ssrc).Append(" cname:").Append(sending.Stream.CanonicalName).Append("\r\n");
                sdp.Append("a=ssrc:").Append(sending.Stream.Ssrc).Append(" msid:").Append(msid).Append("\r\n");
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(section), section, "An answer of no known kind.");
        }
    }

    private static void Audio(StringBuilder sdp, OfferedMedia offer, AudioFormat audio, bool redFirst, string direction, bool isDiscontinuous = false)
    {
        Head(sdp, offer, audio.Red is not { } red ? $"{audio.Opus}" : redFirst ? $"{red} {audio.Opus}" : $"{audio.Opus} {red}");
        Codec(sdp, offer, $"{audio.Opus}", isDiscontinuous ? "usedtx=1" : "");
        if (audio.Red is { } redundant)
        {
            Codec(sdp, offer, $"{redundant}");
        }

        if (audio.MidId != 0)
        {
            sdp.Append("a=extmap:").Append(audio.MidId).Append(' ').Append(MidUri).Append("\r\n");
        }

        if (audio.LevelId != 0)
        {
            sdp.Append("a=extmap:").Append(audio.LevelId).Append(' ').Append(LevelUri).Append("\r\n");
        }

        sdp.Append("a=rtcp-mux\r\na=rtcp-rsize\r\na=").Append(direction).Append("\r\n");
    }

    private static void Head(StringBuilder sdp, OfferedMedia offer, string formats)
    {
        sdp.Append("m=").Append(offer.Kind).Append(" 9 ").Append(offer.Protocol).Append(' ').Append(formats).Append("\r\n");
        sdp.Append("c=IN IP4 0.0.0.0\r\na=mid:").Append(offer.Mid).Append("\r\n");
    }

    private static void Codec(StringBuilder sdp, OfferedMedia offer, string format, string addition = "")
    {
        if (offer.RtpMaps.TryGetValue(format, out var map))
        {
            sdp.Append("a=rtpmap:").Append(format).Append(' ').Append(map).Append("\r\n");
        }

        var parameters = offer.Parameters.GetValueOrDefault(format) ?? "";
        if (addition.Length > 0 && !parameters.Split(';', StringSplitOptions.TrimEntries).Contains(addition, StringComparer.Ordinal))
        {
            parameters = parameters.Length == 0 ? addition : $"{parameters};{addition}";
        }

        if (parameters.Length > 0)
        {
            sdp.Append("a=fmtp:").Append(format).Append(' ').Append(parameters).Append("\r\n");
        }
    }

    private static void WriteTransport(StringBuilder sdp, AnswerTransport transport, bool withCandidate)
    {
        sdp.Append("a=setup:").Append(transport.IsDtlsClient ? "active" : "passive").Append("\r\n");
        sdp.Append("a=ice-ufrag:").Append(transport.Ice.Ufrag).Append("\r\na=ice-pwd:").Append(transport.Ice.Password).Append("\r\n");
        sdp.Append("a=fingerprint:sha-256 ").Append(transport.Fingerprint).Append("\r\n");
        if (withCandidate)
        {
            var address = transport.Candidate.Address;
            var text = address.AddressFamily == AddressFamily.InterNetworkV6 ? new IPAddress(address.GetAddressBytes()).ToString() : address.ToString();
            sdp.Append("a=candidate:1 1 udp ").Append(HostPriority).Append(' ').Append(text).Append(' ').Append(transport.Candidate.Port);
            sdp.Append(" typ host\r\na=end-of-candidates\r\n");
        }
    }
}
