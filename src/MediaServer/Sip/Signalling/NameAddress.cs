using System.Diagnostics.CodeAnalysis;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary><c>"Name" &lt;uri&gt;;parameters</c>: From, To, Contact, Route, Record-Route, Refer-To (RFC 3261, 20.10).</summary>
internal sealed record NameAddress(SipUri Uri)
{
    public string DisplayName { get; init; } = "";

    /// <summary>The header's own parameters, without the leading semicolon.</summary>
    public string Parameters { get; init; } = "";

    public string? Tag => HeaderText.Parameters(Parameters).GetValueOrDefault("tag");

    public static bool TryParse(string? text, [NotNullWhen(true)] out NameAddress? address)
    {
        address = null;
        if (string.IsNullOrWhiteSpace(text))
        {
            return false;
        }

        var open = FindOpen(text);
        if (open < 0)
        {
            // Without angle brackets every parameter is the header's (RFC 3261, 20).
            var bare = text.IndexOf(';', StringComparison.Ordinal);
            return Make(bare < 0 ? text : text[..bare], "", bare < 0 ? "" : text[(bare + 1)..], out address);
        }

        var close = text.IndexOf('>', open);
        if (close < 0)
        {
            return false;
        }

        var after = text[(close + 1)..].Trim();
        return (after.Length == 0 || after[0] == ';')
            && Make(text[(open + 1)..close], HeaderText.Unquote(text[..open].Trim()), after.Length == 0 ? "" : after[1..], out address);
    }

    public NameAddress WithTag(string tag) => this with { Parameters = Parameters.Length == 0 ? $"tag={tag}" : $"{Parameters};tag={tag}" };

    public override string ToString() =>
        $"{(DisplayName.Length == 0 ? "" : HeaderText.Quote(DisplayName) + " ")}<{Uri}>{(Parameters.Length == 0 ? "" : ";" + Parameters)}";

    private static int FindOpen(string text)
    {
        var quoted = false;
        for (var i = 0; i < text.Length; i++)
        {
            switch (text[i])
            {
                case '\\' when quoted:
                    i++;
                    break;
                case '"':
                    quoted = !quoted;
                    break;
                case '<' when !quoted:
                    return i;
            }
        }

        return -1;
    }

    private static bool Make(string uri, string name, string parameters, [NotNullWhen(true)] out NameAddress? address)
    {
        address = SipUri.TryParse(uri.Trim(), out var parsed) ? new NameAddress(parsed) { DisplayName = name, Parameters = parameters.Trim() } : null;
        return address is not null;
    }
}
