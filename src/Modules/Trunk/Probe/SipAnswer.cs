using System.Globalization;
using System.Text;

namespace VoicePlatform.Trunks.Probe;

/// <summary>The part of a SIP response that a probe needs (RFC 3261 §7.2). Anything may be handed to the parser.</summary>
internal sealed record SipAnswer(int Status, string Reason, IReadOnlyList<(string Name, string Value)> Headers, string Body)
{
    private const int MaxHeaders = 200;

    public string? Header(string name, string compact = "") =>
        Headers.FirstOrDefault(h => h.Name.Equals(name, StringComparison.OrdinalIgnoreCase) || (compact.Length > 0 && h.Name.Equals(compact, StringComparison.OrdinalIgnoreCase))).Value;

    public static SipAnswer? Parse(ReadOnlySpan<byte> bytes)
    {
        var text = Encoding.Latin1.GetString(bytes);
        var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        var lines = (end < 0 ? text : text[..end]).Split("\r\n");
        if (lines[0].Split(' ', 3) is not ["SIP/2.0", { Length: 3 } digits, ..] first || !int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var status) || status < 100)
        {
            return null;
        }

        var headers = new List<(string, string)>();
        foreach (var line in lines.Skip(1).Take(MaxHeaders))
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon > 0)
            {
                headers.Add((line[..colon].Trim(), line[(colon + 1)..].Trim()));
            }
        }

        return new(status, first.Length > 2 ? first[2] : "", headers, end < 0 ? "" : text[(end + 4)..]);
    }

    /// <summary>Bytes of the first whole message in a stream (RFC 3261 §18.3); 0 while it is not whole.</summary>
    public static int LengthOf(ReadOnlySpan<byte> stream)
    {
        var end = stream.IndexOf("\r\n\r\n"u8);
        if (end < 0)
        {
            return 0;
        }

        var head = Parse(stream[..(end + 4)]);
        var length = head?.Header("Content-Length", "l") is { } text && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var body) ? body : 0;
        var whole = (long)end + 4 + length;
        return whole <= stream.Length ? (int)whole : 0;
    }
}
