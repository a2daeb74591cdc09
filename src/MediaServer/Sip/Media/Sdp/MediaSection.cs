using System.Net;
using System.Runtime.InteropServices;
using VoicePlatform.MediaServer.Transport.Sdp;

namespace VoicePlatform.MediaServer.Sip.Media.Sdp;

/// <summary>One <c>m=</c> section of a telephone's session description, with what the session says for all.</summary>
internal sealed class MediaSection(string kind, int port, string protocol, IReadOnlyList<string> formats)
{
    public string Kind => kind;

    /// <summary>0: the section is not wanted.</summary>
    public int Port => port;

    public string Protocol => protocol;

    /// <summary>Payload types, the most wanted first.</summary>
    public IReadOnlyList<string> Formats => formats;

    /// <summary>Where audio goes; null when it is not an address of ours to send to.</summary>
    public IPAddress? Address { get; set; }

    public Direction Direction { get; set; }

    public Dictionary<byte, RtpMap> RtpMaps { get; } = [];

    /// <summary>Milliseconds of sound that it wants in a packet; 0: not said.</summary>
    public int PacketMs { get; set; }

    /// <summary>The most milliseconds in a packet; 0: not said.</summary>
    public int MaxPacketMs { get; set; }

    public bool HasRtcpMux { get; set; }

    /// <summary>0: the port after the RTP port.</summary>
    public int RtcpPort { get; set; }

    public List<SdesKey> Keys { get; } = [];

    public bool IsAudio => kind == "audio";

    /// <summary>RTP with keys in the SDP, or without any: what this end can do.</summary>
    public bool IsRtp => protocol is "RTP/AVP" or "RTP/AVPF" or "RTP/SAVP" or "RTP/SAVPF";

    public bool MustEncrypt => protocol is "RTP/SAVP" or "RTP/SAVPF";
}

/// <summary>What a payload type stands for (RFC 4566).</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct RtpMap(string Name, int Clock)
{
    public bool IsEvent => Name.Equals("telephone-event", StringComparison.OrdinalIgnoreCase);

    /// <summary>Null when it is nothing that we speak.</summary>
    public PhoneCodec? Codec => Name.ToUpperInvariant() switch
    {
        "OPUS" when Clock == 48_000 => PhoneCodec.Opus,
        "G722" when Clock is 8_000 or 16_000 => PhoneCodec.G722,        // the clock is 8,000 by an old mistake that some correct
        "PCMU" when Clock == 8_000 => PhoneCodec.Pcmu,
        "PCMA" when Clock == 8_000 => PhoneCodec.Pcma,
        _ => null,
    };

    /// <summary>The types that need no attribute (RFC 3551).</summary>
    public static RtpMap? Static(byte type) => type switch
    {
        0 => new RtpMap("PCMU", 8_000),
        8 => new RtpMap("PCMA", 8_000),
        9 => new RtpMap("G722", 8_000),
        _ => null,
    };
}
