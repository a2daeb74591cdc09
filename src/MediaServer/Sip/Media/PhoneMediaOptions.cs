using System.Net;

namespace VoicePlatform.MediaServer.Sip.Media;

/// <summary>Where telephone audio is received and how it is coded.</summary>
internal sealed record PhoneMediaOptions
{
    /// <summary>Address the RTP sockets are bound to. Default loopback.</summary>
    public IPAddress Bind { get; init; } = IPAddress.Loopback;

    /// <summary>Address in the SDP when phones reach this machine by another one than <see cref="Bind"/>. Default null: <see cref="Bind"/>.</summary>
    public IPAddress? PublicAddress { get; init; }

    /// <summary>First and last UDP port (EMBEDDED_SIP_RTP_PORTS): RTP on the even ones, RTCP on the next. Default 10000 to 10200; (0, 0): any.</summary>
    public (int First, int Last) Ports { get; init; } = (10_000, 10_200);

    /// <summary>
    /// Effort of the Opus encoder, 0 to 10. Fixed, so that what a call costs does not depend on how busy the machine is. Default 5: at
    /// telephone bandwidth more cannot be heard, and costs up to twice the processor time.
    /// </summary>
    public int OpusComplexity { get; init; } = 5;
}

/// <summary>Settings of one call's audio.</summary>
internal sealed record PhoneSessionOptions
{
    /// <summary>The codecs allowed, best first. Default null: Opus, G.722, PCMU, PCMA.</summary>
    public IReadOnlyList<PhoneCodec>? Codecs { get; init; }

    /// <summary>Whether the audio is encrypted (SRTP with keys in the SDP, RFC 4568). Default <see cref="MediaEncryption.Disable"/>.</summary>
    public MediaEncryption Encryption { get; init; }

    /// <summary>How long the other side may send nothing once the call is answered, hold excepted. Default 30 s.</summary>
    public TimeSpan MediaTimeout { get; init; } = TimeSpan.FromSeconds(30);
}

/// <summary>What a telephone can speak.</summary>
internal enum PhoneCodec
{
    /// <summary>48 kHz (RFC 7587).</summary>
    Opus,

    /// <summary>16 kHz at 64 kbit/s.</summary>
    G722,

    /// <summary>G.711 µ-law, 8 kHz.</summary>
    Pcmu,

    /// <summary>G.711 A-law, 8 kHz.</summary>
    Pcma,
}

/// <summary>As LiveKit's SIPMediaEncryption.</summary>
internal enum MediaEncryption
{
    /// <summary>Never.</summary>
    Disable,

    /// <summary>Offered, and used when the other side can.</summary>
    Allow,

    /// <summary>A call without it is refused.</summary>
    Require,
}

/// <summary>A sound made here.</summary>
internal enum PhoneTone
{
    None,

    /// <summary>It rings at the other end: 440 and 480 Hz, 2 s on, 4 s off (North America).</summary>
    Ringback,

    /// <summary>It rings at the other end: 425 Hz, 1 s on, 4 s off (Europe; ITU-T E.180).</summary>
    RingbackEtsi,

    /// <summary>The line is ready: 350 and 440 Hz.</summary>
    Dial,

    /// <summary>The line is busy: 480 and 620 Hz, half a second on and off.</summary>
    Busy,
}
