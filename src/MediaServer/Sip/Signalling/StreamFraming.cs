using System.Buffers.Text;

namespace VoicePlatform.MediaServer.Sip.Signalling;

internal enum Frame
{
    /// <summary>More bytes are needed.</summary>
    Incomplete,

    Message,

    /// <summary>A double CRLF, to be answered by a single one (RFC 5626, 3.5.1).</summary>
    Ping,

    /// <summary>Line ends between messages, which mean nothing.</summary>
    Blank,

    /// <summary>Too long or without a length: where the next message begins can no longer be known.</summary>
    Lost,
}

/// <summary>Finds the messages in a stream by their Content-Length (RFC 3261, 18.3).</summary>
internal static class StreamFraming
{
    /// <param name="received">From the end of the last frame on.</param>
    /// <param name="maxMessage">Bytes one message may have.</param>
    /// <param name="length">Bytes of the frame, unless it is incomplete.</param>
    public static Frame Next(ReadOnlySpan<byte> received, int maxMessage, out int length)
    {
        length = 0;
        if (received.IsEmpty)
        {
            return Frame.Incomplete;
        }

        if (received[0] is (byte)'\r' or (byte)'\n')
        {
            return NextBlank(received, out length);
        }

        if (received[0] is < (byte)'!' or > (byte)'~')
        {
            return Frame.Lost;      // a TLS hello on the wrong port, or worse
        }

        var end = received.IndexOf("\r\n\r\n"u8);
        if (end < 0)
        {
            return received.Length >= maxMessage ? Frame.Lost : Frame.Incomplete;
        }

        if (!TryReadContentLength(received[..(end + 2)], out var body) || body > maxMessage - end - 4)
        {
            return Frame.Lost;
        }

        length = end + 4 + body;
        return received.Length < length ? Frame.Incomplete : Frame.Message;
    }

    private static Frame NextBlank(ReadOnlySpan<byte> received, out int length)
    {
        if (received.StartsWith("\r\n\r\n"u8))
        {
            length = 4;
            return Frame.Ping;
        }

        // Perhaps the first half of a ping: its other half is on the way.
        var isPart = "\r\n\r\n"u8.StartsWith(received);
        length = isPart ? 0 : received.Length > 1 && received[0] == '\r' && received[1] == '\n' ? 2 : 1;
        return isPart ? Frame.Incomplete : Frame.Blank;
    }

    private static bool TryReadContentLength(ReadOnlySpan<byte> head, out int length)
    {
        length = 0;
        while (!head.IsEmpty)
        {
            var lineEnd = head.IndexOf("\r\n"u8);
            var line = head[..lineEnd];
            head = head[(lineEnd + 2)..];
            var colon = line.IndexOf((byte)':');
            if (colon <= 0)
            {
                continue;
            }

            var name = line[..colon].TrimEnd(" \t"u8);
            if (System.Text.Ascii.EqualsIgnoreCase(name, "Content-Length"u8) || System.Text.Ascii.EqualsIgnoreCase(name, "l"u8))
            {
                var value = line[(colon + 1)..].Trim(" \t"u8);
                return Utf8Parser.TryParse(value, out length, out var used) && used == value.Length && length >= 0;
            }
        }

        return false;
    }
}
