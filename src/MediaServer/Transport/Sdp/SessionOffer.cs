using VoicePlatform.MediaServer.Transport.Dtls;
using VoicePlatform.MediaServer.Transport.Rtp;

namespace VoicePlatform.MediaServer.Transport.Sdp;

internal enum Direction
{
    Inactive,
    SendOnly,
    ReceiveOnly,
    SendAndReceive,
}

/// <summary>What an offer says, as far as this server uses it.</summary>
/// <param name="IceUfrag">The client's half of the ICE user name.</param>
/// <param name="IcePassword">Changes with the ufrag when the client restarts ICE.</param>
/// <param name="Fingerprint">Of the client's certificate.</param>
/// <param name="IsPassive">The client insists on being the DTLS server.</param>
/// <param name="Sections">In the order of the offer, which the answer keeps.</param>
internal sealed record SessionOffer(
    string IceUfrag, string IcePassword, CertificateFingerprint Fingerprint, bool IsPassive, IReadOnlyList<OfferedMedia> Sections);

/// <summary>One m= section of an offer.</summary>
internal sealed class OfferedMedia
{
    public required string Kind { get; init; }

    public required string Protocol { get; init; }

    public required IReadOnlyList<string> Formats { get; init; }

    public string Mid { get; set; } = "";

    public Direction Direction { get; set; } = Direction.SendAndReceive;

    /// <summary>Port 0 without bundle-only, or outside the bundle: the section is dead and answered so.</summary>
    public bool IsRejected { get; set; }

    /// <summary>Payload type → what rtpmap says of it.</summary>
    public Dictionary<string, string> RtpMaps { get; } = new(StringComparer.Ordinal);

    /// <summary>Payload type → format parameters.</summary>
    public Dictionary<string, string> Parameters { get; } = new(StringComparer.Ordinal);

    /// <summary>URI of a header extension → its id.</summary>
    public Dictionary<string, int> Extensions { get; } = new(StringComparer.Ordinal);

    /// <summary>Track id of a=msid; empty when there is none.</summary>
    public string TrackId { get; set; } = "";

    public List<uint> Ssrcs { get; } = [];

    /// <summary>A section of SCTP data channels.</summary>
    public bool IsData => Kind == "application" && Protocol.EndsWith("SCTP", StringComparison.Ordinal) && Formats.Contains("webrtc-datachannel", StringComparer.Ordinal);

    /// <summary>The payload types and extensions that both sides know; null when the section has no Opus.</summary>
    public AudioFormat? AudioFormat()
    {
        byte? opus = null, red = null;
        foreach (var format in Formats)
        {
            if (opus is null && IsCodec(format, "opus/48000/2", out var found))
            {
                opus = found;
            }
        }

        foreach (var format in Formats)
        {
            // RED counts only when all its blocks are that Opus.
            if (opus is not null && red is null && IsCodec(format, "red/48000/2", out var found)
                && Parameters.TryGetValue(format, out var blocks) && blocks.Split('/').All(block => block == $"{opus}"))
            {
                red = found;
            }
        }

        return opus is null ? null : new AudioFormat(
            opus.Value, red, Extensions.GetValueOrDefault(AnswerWriter.LevelUri), Extensions.GetValueOrDefault(AnswerWriter.MidUri));
    }

    private bool IsCodec(string format, string codec, out byte payloadType) =>
        byte.TryParse(format, System.Globalization.NumberStyles.None, null, out payloadType)
        && payloadType < 128
        && RtpMaps.TryGetValue(format, out var map)
        && map.Equals(codec, StringComparison.OrdinalIgnoreCase);
}
