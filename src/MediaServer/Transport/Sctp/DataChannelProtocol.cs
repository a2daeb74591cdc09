using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace VoicePlatform.MediaServer.Transport.Sctp;

/// <summary>How a channel delivers, from its DATA_CHANNEL_OPEN.</summary>
/// <param name="Label">The name the application gave it.</param>
/// <param name="IsUnordered">Messages may overtake each other.</param>
/// <param name="MaxRetransmits">Null when not limited so.</param>
/// <param name="MaxLifetimeMs">Null when not limited so.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct ChannelOpen(string Label, bool IsUnordered, uint? MaxRetransmits, uint? MaxLifetimeMs);

/// <summary>The in-band opening of data channels (RFC 8832).</summary>
internal static class DataChannelProtocol
{
    public const uint ControlProtocol = 50;
    public const uint StringProtocol = 51;
    public const uint BinaryProtocol = 53;
    public const uint EmptyStringProtocol = 56;
    public const uint EmptyBinaryProtocol = 57;

    private const byte AckType = 0x02;
    private const byte OpenType = 0x03;
    private const int OpenHeader = 12;
    private const int MaxLabel = 1_024;

    public static ReadOnlySpan<byte> Ack => [AckType];

    /// <summary>False when the message is not a well-formed DATA_CHANNEL_OPEN.</summary>
    public static bool TryReadOpen(ReadOnlySpan<byte> message, out ChannelOpen open)
    {
        open = default;
        if (message.Length < OpenHeader || message[0] != OpenType)
        {
            return false;
        }

        var type = message[1];
        var value = BinaryPrimitives.ReadUInt32BigEndian(message[4..]);
        var labelLength = BinaryPrimitives.ReadUInt16BigEndian(message[8..]);
        var protocolLength = BinaryPrimitives.ReadUInt16BigEndian(message[10..]);
        if (labelLength > MaxLabel || OpenHeader + labelLength + protocolLength > message.Length || (type & 0x7F) > 2)
        {
            return false;
        }

        open = new ChannelOpen(
            Encoding.UTF8.GetString(message.Slice(OpenHeader, labelLength)),
            (type & 0x80) != 0,
            (type & 0x7F) == 1 ? value : null,
            (type & 0x7F) == 2 ? value : null);
        return true;
    }

    /// <summary>Writes a DATA_CHANNEL_OPEN; returns its length.</summary>
    public static int WriteOpen(Span<byte> message, in ChannelOpen open)
    {
        message[..OpenHeader].Clear();
        message[0] = OpenType;
        message[1] = (byte)((open.IsUnordered ? 0x80 : 0) | (open.MaxRetransmits is not null ? 1 : open.MaxLifetimeMs is not null ? 2 : 0));
        BinaryPrimitives.WriteUInt32BigEndian(message[4..], open.MaxRetransmits ?? open.MaxLifetimeMs ?? 0);
        var length = Encoding.UTF8.GetBytes(open.Label, message[OpenHeader..]);
        BinaryPrimitives.WriteUInt16BigEndian(message[8..], (ushort)length);
        return OpenHeader + length;
    }
}
