using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace VoicePlatform.MediaServer.Transport.Rtp;

/// <summary>An RTP packet (RFC 3550) seen in the datagram it came in; nothing is copied.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly ref struct RtpPacket
{
    public const int HeaderLength = 12;

    private const ushort OneByteExtensions = 0xBEDE;
    private const ushort TwoByteExtensions = 0x1000;

    private readonly ReadOnlySpan<byte> _extensions;
    private readonly ushort _extensionProfile;

    private RtpPacket(ReadOnlySpan<byte> packet, ushort extensionProfile, ReadOnlySpan<byte> extensions, ReadOnlySpan<byte> payload)
    {
        Marker = (packet[1] & 0x80) != 0;
        PayloadType = (byte)(packet[1] & 0x7F);
        Sequence = BinaryPrimitives.ReadUInt16BigEndian(packet[2..]);
        Timestamp = BinaryPrimitives.ReadUInt32BigEndian(packet[4..]);
        Ssrc = BinaryPrimitives.ReadUInt32BigEndian(packet[8..]);
        Length = packet.Length;
        _extensionProfile = extensionProfile;
        _extensions = extensions;
        Payload = payload;
    }

    public bool Marker { get; }

    public byte PayloadType { get; }

    public ushort Sequence { get; }

    public uint Timestamp { get; }

    public uint Ssrc { get; }

    /// <summary>Bytes of the whole packet.</summary>
    public int Length { get; }

    /// <summary>Without padding.</summary>
    public ReadOnlySpan<byte> Payload { get; }

    /// <summary>RTP and RTCP share the port; the packet type tells them apart (RFC 5761).</summary>
    public static bool IsRtcp(ReadOnlySpan<byte> packet) => packet.Length >= 2 && (packet[1] & 0x7F) is >= 64 and <= 95;

    public static bool TryRead(ReadOnlySpan<byte> packet, out RtpPacket rtp) => TryRead(packet, isEncrypted: false, out rtp);

    /// <summary>Reads what SRTP leaves in the clear: header and extensions. The payload, padding included, is cipher text.</summary>
    public static bool TryReadHeader(ReadOnlySpan<byte> packet, out RtpPacket rtp) => TryRead(packet, isEncrypted: true, out rtp);

    private static bool TryRead(ReadOnlySpan<byte> packet, bool isEncrypted, out RtpPacket rtp)
    {
        rtp = default;
        if (packet.Length < HeaderLength || packet[0] >> 6 != 2)
        {
            return false;
        }

        var at = HeaderLength + (4 * (packet[0] & 0x0F));
        ushort profile = 0;
        ReadOnlySpan<byte> extensions = default;
        if ((packet[0] & 0x10) != 0)
        {
            if (at + 4 > packet.Length)
            {
                return false;
            }

            profile = BinaryPrimitives.ReadUInt16BigEndian(packet[at..]);
            var length = 4 * BinaryPrimitives.ReadUInt16BigEndian(packet[(at + 2)..]);
            at += 4;
            if (at + length > packet.Length)
            {
                return false;
            }

            extensions = packet.Slice(at, length);
            at += length;
        }

        var padding = (packet[0] & 0x20) != 0 && !isEncrypted ? packet[^1] : 0;
        if (at + padding > packet.Length)
        {
            return false;
        }

        rtp = new RtpPacket(packet, profile, extensions, packet[at..^padding]);
        return true;
    }

    /// <summary>The value of a header extension (RFC 8285), empty when it is not there.</summary>
    public ReadOnlySpan<byte> Extension(int id)
    {
        var isTwoByte = (_extensionProfile & 0xFFF0) == TwoByteExtensions;
        if (id == 0 || (!isTwoByte && _extensionProfile != OneByteExtensions))
        {
            return default;
        }

        var rest = _extensions;
        while (rest.Length > 1)
        {
            if (rest[0] == 0)
            {
                rest = rest[1..];       // padding
                continue;
            }

            var (foundId, length, header) = isTwoByte ? (rest[0], rest[1], 2) : (rest[0] >> 4, (rest[0] & 0x0F) + 1, 1);
            if (header + length > rest.Length || (!isTwoByte && foundId == 15))
            {
                return default;
            }

            if (foundId == id)
            {
                return rest.Slice(header, length);
            }

            rest = rest[(header + length)..];
        }

        return default;
    }

    /// <summary>
    /// Writes a header with the audio level and the mid as one-byte extensions (each left out when its id is 0); returns its length.
    /// </summary>
    public static int WriteHeader(
        Span<byte> output, byte payloadType, bool marker, ushort sequence, uint timestamp, uint ssrc, int levelId, byte level, int midId, ReadOnlySpan<byte> mid)
    {
        output[1] = (byte)((marker ? 0x80 : 0) | payloadType);
        BinaryPrimitives.WriteUInt16BigEndian(output[2..], sequence);
        BinaryPrimitives.WriteUInt32BigEndian(output[4..], timestamp);
        BinaryPrimitives.WriteUInt32BigEndian(output[8..], ssrc);
        var at = HeaderLength + 4;
        if (levelId is > 0 and < 15)
        {
            output[at] = (byte)(levelId << 4);
            output[at + 1] = level;
            at += 2;
        }

        if (midId is > 0 and < 15 && mid.Length is > 0 and <= 16)
        {
            output[at] = (byte)((midId << 4) | (mid.Length - 1));
            mid.CopyTo(output[(at + 1)..]);
            at += 1 + mid.Length;
        }

        if (at == HeaderLength + 4)
        {
            output[0] = 0x80;
            return HeaderLength;
        }

        while ((at & 3) != 0)
        {
            output[at++] = 0;
        }

        output[0] = 0x90;
        BinaryPrimitives.WriteUInt16BigEndian(output[HeaderLength..], OneByteExtensions);
        BinaryPrimitives.WriteUInt16BigEndian(output[(HeaderLength + 2)..], (ushort)((at - HeaderLength - 4) / 4));
        return at;
    }
}
