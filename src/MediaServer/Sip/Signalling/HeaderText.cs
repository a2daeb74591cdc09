using System.Text;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>The grammar that SIP headers share: tokens, quoted strings, lists and parameters (RFC 3261, 25.1).</summary>
internal static class HeaderText
{
    public static bool IsToken(ReadOnlySpan<char> text)
    {
        foreach (var c in text)
        {
            if (!char.IsAsciiLetterOrDigit(c) && "-.!%*_+`'~".IndexOf(c, StringComparison.Ordinal) < 0)
            {
                return false;
            }
        }

        return !text.IsEmpty;
    }

    /// <summary>Whether a value may stand in a header line: no control characters, so nobody can add lines of their own.</summary>
    public static bool IsSafe(string value) => !value.AsSpan().ContainsAnyInRange('\0', '\x1F') && !value.Contains('\x7F', StringComparison.Ordinal);

    /// <summary>Apart at the commas outside of quotes and angle brackets; empty parts are left out.</summary>
    public static IEnumerable<string> SplitList(string value) => Split(value, ',');

    public static IEnumerable<string> Split(string value, char separator)
    {
        var (start, quoted, bracketed) = (0, false, false);
        for (var i = 0; i < value.Length; i++)
        {
            switch (value[i])
            {
                case '\\' when quoted:
                    i++;
                    break;
                case '"':
                    quoted = !quoted;
                    break;
                case '<' when !quoted:
                    bracketed = true;
                    break;
                case '>' when !quoted:
                    bracketed = false;
                    break;
                case var c when c == separator && !quoted && !bracketed:
                    if (value[start..i].Trim() is { Length: > 0 } part)
                    {
                        yield return part;
                    }

                    start = i + 1;
                    break;
            }
        }

        if (start < value.Length && value[start..].Trim() is { Length: > 0 } last)
        {
            yield return last;
        }
    }

    /// <summary>Parameters after the first separator: <c>a;b=c;d="e"</c> gives b and d. A repeated name keeps its first value.</summary>
    public static Dictionary<string, string?> Parameters(string text, char separator = ';')
    {
        var parameters = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        foreach (var part in Split(text, separator))
        {
            var equals = part.IndexOf('=', StringComparison.Ordinal);
            if (equals < 0)
            {
                parameters.TryAdd(part, null);
            }
            else
            {
                parameters.TryAdd(part[..equals].TrimEnd(), Unquote(part[(equals + 1)..].TrimStart()));
            }
        }

        return parameters;
    }

    public static string Quote(string text) =>
        $"\"{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";

    public static string Unquote(string text)
    {
        if (text.Length < 2 || text[0] != '"' || text[^1] != '"')
        {
            return text;
        }

        var inner = text.AsSpan(1, text.Length - 2);
        if (!inner.Contains('\\'))
        {
            return inner.ToString();
        }

        var plain = new StringBuilder(inner.Length);
        for (var i = 0; i < inner.Length; i++)
        {
            plain.Append(inner[i] == '\\' && i + 1 < inner.Length ? inner[++i] : inner[i]);
        }

        return plain.ToString();
    }
}
