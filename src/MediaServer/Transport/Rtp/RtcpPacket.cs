using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace VoicePlatform.MediaServer.Transport.Rtp;

/// <summary>What a receiver says of one stream (RFC 3550 section 6.4.1).</summary>
/// <param name="FractionLost">Lost since the last report, in 1/256.</param>
/// <param name="Lost">Lost in all; negative when duplicates outnumber losses.</param>
/// <param name="Jitter">In units of the RTP clock.</param>
/// <param name="LastSenderReport">Middle 32 bits of the NTP time in the last sender report, 0 when there was none.</param>
/// <param name="Delay">Since that report, in 1/65536 s.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct ReportBlock(
    uint Ssrc, byte FractionLost, int Lost, uint HighestSequence, uint Jitter, uint LastSenderReport, uint Delay)
{
    public const int Length = 24;
}

/// <summary>One packet of a compound RTCP datagram, seen in place.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly ref struct RtcpPacket
{
    public const byte SenderReport = 200;
    public const byte ReceiverReport = 201;
    public const byte SourceDescription = 202;
    public const byte Goodbye = 203;

    private const int MaxBlocks = 31;
    private readonly ReadOnlySpan<byte> _packet;

    private RtcpPacket(ReadOnlySpan<byte> packet) => _packet = packet;

    public byte Type => _packet[1];

    /// <summary>The sender of a report.</summary>
    public uint Ssrc => BinaryPrimitives.ReadUInt32BigEndian(_packet[4..]);

    /// <summary>Of a sender report.</summary>
    public ulong Ntp => BinaryPrimitives.ReadUInt64BigEndian(_packet[8..]);

    /// <summary>Report blocks that are wholly there.</summary>
    public int BlockCount => Type is SenderReport or ReceiverReport
        ? Math.Min(_packet[0] & 0x1F, (_packet.Length - BlocksAt) / ReportBlock.Length)
        : 0;

    private int BlocksAt => Type == SenderReport ? 28 : 8;

    /// <summary>Takes the next packet off a compound; false at its end or where it is malformed.</summary>
    public static bool TryReadNext(ref ReadOnlySpan<byte> compound, out RtcpPacket packet)
    {
        packet = default;
        if (compound.Length < 4 || compound[0] >> 6 != 2)
        {
            return false;
        }

        var length = 4 * (BinaryPrimitives.ReadUInt16BigEndian(compound[2..]) + 1);
        var least = compound[1] switch { SenderReport => 28, ReceiverReport => 8, _ => 4 };
        if (length > compound.Length || length < least)
        {
            return false;
        }

        packet = new RtcpPacket(compound[..length]);
        compound = compound[length..];
        return true;
    }

    public ReportBlock Block(int index)
    {
        var block = _packet.Slice(BlocksAt + (index * ReportBlock.Length), ReportBlock.Length);
        var loss = BinaryPrimitives.ReadUInt32BigEndian(block[4..]);
        return new ReportBlock(
            BinaryPrimitives.ReadUInt32BigEndian(block),
            (byte)(loss >> 24),
            (int)(loss << 8) >> 8,
            BinaryPrimitives.ReadUInt32BigEndian(block[8..]),
            BinaryPrimitives.ReadUInt32BigEndian(block[12..]),
            BinaryPrimitives.ReadUInt32BigEndian(block[16..]),
            BinaryPrimitives.ReadUInt32BigEndian(block[20..]));
    }

    public static int WriteSenderReport(Span<byte> output, uint ssrc, ulong ntp, uint rtpTimestamp, uint packets, uint octets)
    {
        const int Length = 28;
        WriteHeader(output, SenderReport, 0, Length, ssrc);
        BinaryPrimitives.WriteUInt64BigEndian(output[8..], ntp);
        BinaryPrimitives.WriteUInt32BigEndian(output[16..], rtpTimestamp);
        BinaryPrimitives.WriteUInt32BigEndian(output[20..], packets);
        BinaryPrimitives.WriteUInt32BigEndian(output[24..], octets);
        return Length;
    }

    /// <summary>Blocks beyond the 31st do not fit and are left out.</summary>
    public static int WriteReceiverReport(Span<byte> output, uint ssrc, ReadOnlySpan<ReportBlock> blocks)
    {
        blocks = blocks[..Math.Min(blocks.Length, MaxBlocks)];
        var length = 8 + (blocks.Length * ReportBlock.Length);
        WriteHeader(output, ReceiverReport, blocks.Length, length, ssrc);
        var at = 8;
        foreach (ref readonly var block in blocks)
        {
            var lost = (uint)Math.Clamp(block.Lost, -0x80_0000, 0x7F_FFFF) & 0xFF_FFFF;
            BinaryPrimitives.WriteUInt32BigEndian(output[at..], block.Ssrc);
            BinaryPrimitives.WriteUInt32BigEndian(output[(at + 4)..], ((uint)block.FractionLost << 24) | lost);
            BinaryPrimitives.WriteUInt32BigEndian(output[(at + 8)..], block.HighestSequence);
            BinaryPrimitives.WriteUInt32BigEndian(output[(at + 12)..], block.Jitter);
            BinaryPrimitives.WriteUInt32BigEndian(output[(at + 16)..], block.LastSenderReport);
            BinaryPrimitives.WriteUInt32BigEndian(output[(at + 20)..], block.Delay);
            at += ReportBlock.Length;
        }

        return length;
    }

    /// <summary>A source description with the canonical name only.</summary>
    public static int WriteCanonicalName(Span<byte> output, uint ssrc, string name)
    {
        var nameLength = Encoding.UTF8.GetBytes(name.AsSpan(0, Math.Min(name.Length, 60)), output[10..]);
        var length = (10 + nameLength + 1 + 3) & ~3;        // at least one zero ends the list
        output[(10 + nameLength)..length].Clear();
        WriteHeader(output, SourceDescription, 1, length, ssrc);
        output[8] = 1;      // CNAME
        output[9] = (byte)nameLength;
        return length;
    }

    private static void WriteHeader(Span<byte> output, byte type, int count, int length, uint ssrc)
    {
        output[0] = (byte)(0x80 | count);
        output[1] = type;
        BinaryPrimitives.WriteUInt16BigEndian(output[2..], (ushort)((length / 4) - 1));
        BinaryPrimitives.WriteUInt32BigEndian(output[4..], ssrc);
    }
}
