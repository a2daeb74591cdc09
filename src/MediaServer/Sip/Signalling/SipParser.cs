using System.Globalization;
using System.Text;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>What bytes turned out to be.</summary>
/// <param name="Message">Null for rubbish that deserves no answer.</param>
/// <param name="Fault">What is wrong with a message that can be answered 400 all the same; null when nothing is.</param>
internal readonly record struct Parsed(SipMessage? Message, string? Fault);

/// <summary>Reads one message of known extent. Survives anything; allocates no more than a few times what came in.</summary>
internal static class SipParser
{
    private const int MaxHeaders = 256;

    /// <summary>Headers every request needs to be answered at all.</summary>
    private static readonly string[] Essential = ["Via", "From", "To", "Call-ID", "CSeq"];

    private static readonly string[] Single = ["From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Content-Type"];

    public static Parsed Parse(ReadOnlySpan<byte> bytes)
    {
        while (bytes is [(byte)'\r' or (byte)'\n', ..])
        {
            bytes = bytes[1..];
        }

        var headLength = FindBody(bytes, out var bodyAt);
        if (headLength <= 0)
        {
            return default;
        }

        var head = Encoding.UTF8.GetString(bytes[..headLength]);
        var lines = new LineReader(head);
        var start = lines.Next();
        var headers = new SipHeaders();
        string? fault = null;
        while (lines.Next() is { } line)
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            var name = colon < 0 ? "" : line[..colon].TrimEnd();
            if (!HeaderText.IsToken(name))
            {
                fault ??= "Malformed header line";
                continue;
            }

            if (headers.Count == MaxHeaders)
            {
                return default;
            }

            headers.Add(name, line[(colon + 1)..].Trim());
        }

        var rest = bytes[bodyAt..];
        var length = BodyLength(headers, rest.Length, ref fault);
        var body = Encoding.UTF8.GetString(rest[..length]);
        return Read(start ?? "", headers, body) is { } message ? new Parsed(message, Check(message) ?? fault) : default;
    }

    /// <summary>Where the head ends (its last line's end not counted) and the body begins; 0 when there is no empty line.</summary>
    private static int FindBody(ReadOnlySpan<byte> bytes, out int bodyAt)
    {
        var end = bytes.IndexOf("\r\n\r\n"u8);
        var bare = bytes.IndexOf("\n\n"u8);     // some send bare line feeds
        if (bare >= 0 && (end < 0 || bare < end))
        {
            bodyAt = bare + 2;
            return bare;
        }

        bodyAt = end + 4;
        return Math.Max(end, 0);
    }

    private static int BodyLength(SipHeaders headers, int available, ref string? fault)
    {
        if (headers["Content-Length"] is not { } text)
        {
            return available;       // over UDP: to the end of the datagram (RFC 3261, 18.3)
        }

        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var length))
        {
            fault ??= "Malformed Content-Length";
            return 0;
        }

        if (length > available)
        {
            fault ??= "Body shorter than Content-Length";
            return available;
        }

        return length;      // what follows is discarded
    }

    private static SipMessage? Read(string start, SipHeaders headers, string body)
    {
        var parts = start.Split(' ', 3);
        if (parts.Length < 2)
        {
            return null;
        }

        if (parts[0].Equals("SIP/2.0", StringComparison.OrdinalIgnoreCase))
        {
            return int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var status) && status is >= 100 and <= 699
                ? new SipResponse(status, parts.Length == 3 ? parts[2].Trim() : "") { Headers = headers, Body = body }
                : null;
        }

        return parts.Length == 3 && HeaderText.IsToken(parts[0]) && parts[1].Length > 0 && parts[2].StartsWith("SIP/", StringComparison.OrdinalIgnoreCase)
            ? new SipRequest(parts[0], parts[1]) { Headers = headers, Body = body, Version = parts[2] }
            : null;
    }

    private static string? Check(SipMessage message)
    {
        foreach (var name in Essential)
        {
            if (message.Headers[name] is null)
            {
                return $"Missing {name}";
            }
        }

        foreach (var name in Single)
        {
            if (message.Headers.All(name).Skip(1).Any())
            {
                return $"More than one {name}";
            }
        }

        if (message.TopVia is null)
        {
            return "Malformed Via";
        }

        if (message.From is null)
        {
            return "Malformed From";
        }

        if (message.To is null)
        {
            return "Malformed To";
        }

        if (message.CallId.Length is 0 or > 1_024)
        {
            return "Malformed Call-ID";
        }

        if (!CSeq.TryParse(message.Headers["CSeq"], out var cseq) || (message is SipRequest request && cseq.Method != request.Method))
        {
            return "Malformed CSeq";
        }

        return message.Headers["Max-Forwards"] is { } hops && !(int.TryParse(hops, NumberStyles.None, CultureInfo.InvariantCulture, out var left) && left <= 255)
            ? "Malformed Max-Forwards"
            : null;
    }

    /// <summary>Lines of a head, folded ones joined (RFC 3261, 7.3.1).</summary>
    private sealed class LineReader(string head)
    {
        private int _at;

        public string? Next()
        {
            if (_at >= head.Length)
            {
                return null;
            }

            var line = Raw();
            if (_at >= head.Length || head[_at] is not (' ' or '\t'))
            {
                return line;
            }

            var folded = new StringBuilder(line);
            while (_at < head.Length && head[_at] is (' ' or '\t'))
            {
                folded.Append(' ').Append(Raw().AsSpan().Trim());
            }

            return folded.ToString();
        }

        private string Raw()
        {
            var end = head.IndexOf('\n', _at);
            var line = end < 0 ? head[_at..] : head[_at..end];
            _at = end < 0 ? head.Length : end + 1;
            return line.TrimEnd('\r');
        }
    }
}
