using System.Net;
using VoicePlatform.MediaServer.Sip.Media.Sdp;

namespace VoicePlatform.MediaServer.Sip.Media;

/// <summary>What an offer and its answer agreed on, or an offer alone allows to be received. Never changed, only replaced.</summary>
internal sealed record MediaPlan
{
    private readonly byte[] _codecs = new byte[128];        // by payload type: the codec plus one; copies share it, it only gains entries

    public required PhoneCodec Codec { get; init; }

    /// <summary>Payload type of what we send.</summary>
    public required byte Type { get; init; }

    /// <summary>Payload type of telephone events to the other side; null: it does not take them.</summary>
    public byte? EventType { get; init; }

    /// <summary>Ticks a second in the durations of telephone events.</summary>
    public int EventClock { get; init; } = 8_000;

    /// <summary>Payload types of telephone events from the other side, with their clocks.</summary>
    public IReadOnlyDictionary<byte, int> EventTypes { get; init; } = new Dictionary<byte, int>();

    /// <summary>Where the other side said it listens; null while there is no answer, or it does not want anything.</summary>
    public IPEndPoint? Remote { get; init; }

    public IPEndPoint? RemoteRtcp { get; init; }

    /// <summary>RTCP goes by the RTP ports (RFC 5761).</summary>
    public bool HasRtcpMux { get; init; }

    /// <summary>Sound in a packet of ours: 10, 20, 40 or 60 ms.</summary>
    public int PacketMs { get; init; } = 20;

    public bool CanSend { get; init; }

    public bool CanReceive { get; init; } = true;

    public bool IsHeldThere { get; init; }

    public bool IsHeldHere { get; init; }

    public SdesKey? SendKey { get; init; }

    public SdesKey? ReceiveKey { get; init; }

    /// <summary>Only encrypted packets are taken; without a key yet, none.</summary>
    public bool MustDecrypt { get; init; }

    /// <summary>The section is RTP/SAVP rather than RTP/AVP with keys beside it.</summary>
    public bool IsSecureProfile { get; init; }

    public void Accept(byte type, PhoneCodec codec) => _codecs[type] = (byte)(codec + 1);

    public PhoneCodec? CodecOf(byte type) => _codecs[type] == 0 ? null : (PhoneCodec)(_codecs[type] - 1);
}

internal static class PhoneCodecs
{
    public static IReadOnlyList<PhoneCodec> All { get; } = [PhoneCodec.Opus, PhoneCodec.G722, PhoneCodec.Pcmu, PhoneCodec.Pcma];

    public static string Name(this PhoneCodec codec) => codec switch
    {
        PhoneCodec.Opus => "opus",
        PhoneCodec.G722 => "G722",
        PhoneCodec.Pcmu => "PCMU",
        _ => "PCMA",
    };

    /// <summary>Samples a second.</summary>
    public static int Rate(this PhoneCodec codec) => codec switch { PhoneCodec.Opus => 48_000, PhoneCodec.G722 => 16_000, _ => 8_000 };

    /// <summary>RTP ticks a second. G.722's is half its rate, by an old mistake in the standard (RFC 3551 section 4.5.2).</summary>
    public static int Clock(this PhoneCodec codec) => codec == PhoneCodec.Opus ? 48_000 : 8_000;
}
