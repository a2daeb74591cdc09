using System.Runtime.InteropServices;

namespace VoicePlatform.MediaServer.Transport.Rtp;

/// <summary>One block of a RED payload, by position.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct RedBlock(byte PayloadType, int TimestampOffset, int Start, int Length);

/// <summary>Redundant audio (RFC 2198): older frames before the newest, the primary block.</summary>
internal static class RedPayload
{
    /// <summary>More blocks than anyone sends; a payload with more is refused.</summary>
    public const int MaxBlocks = 8;

    /// <summary>The blocks, oldest first, the primary last. Returns their number, 0 when the payload is malformed.</summary>
    public static int Read(ReadOnlySpan<byte> payload, Span<RedBlock> blocks)
    {
        var count = 0;
        var at = 0;
        var length = 0;
        while (true)
        {
            if (at >= payload.Length || count == Math.Min(blocks.Length, MaxBlocks))
            {
                return 0;
            }

            if ((payload[at] & 0x80) == 0)
            {
                blocks[count++] = new RedBlock(payload[at], 0, 0, 0);
                at++;
                break;
            }

            if (at + 4 > payload.Length)
            {
                return 0;
            }

            var blockLength = ((payload[at + 2] & 0x03) << 8) | payload[at + 3];
            blocks[count++] = new RedBlock((byte)(payload[at] & 0x7F), (payload[at + 1] << 6) | (payload[at + 2] >> 2), 0, blockLength);
            length += blockLength;
            at += 4;
        }

        if (at + length > payload.Length)
        {
            return 0;
        }

        for (var i = 0; i < count; i++)
        {
            var blockLength = i == count - 1 ? payload.Length - at : blocks[i].Length;
            blocks[i] = blocks[i] with { Start = at, Length = blockLength };
            at += blockLength;
        }

        return count;
    }

    /// <summary>Gives every block header of a well-formed payload the payload type.</summary>
    public static void Rewrite(Span<byte> payload, byte payloadType)
    {
        var at = 0;
        while ((payload[at] & 0x80) != 0)
        {
            payload[at] = (byte)(0x80 | payloadType);
            at += 4;
        }

        payload[at] = payloadType;
    }
}
