using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>A sip, sips or tel URI (RFC 3261, 19.1; RFC 3966). The user part is kept unescaped.</summary>
internal sealed record SipUri
{
    private const int MaxLength = 2_048;
    private const string UserMarks = "-_.!~*'()&=+$,;?/";

    /// <summary><c>sip</c>, <c>sips</c> or <c>tel</c>, in lower case.</summary>
    public string Scheme { get; init; } = "sip";

    /// <summary>The user part, or the number of a tel URI; empty where there is none.</summary>
    public string User { get; init; } = "";

    /// <summary>A name or address; IPv6 in brackets. Empty in a tel URI.</summary>
    public string Host { get; init; } = "";

    /// <summary>Null: by transport, or found by SRV records.</summary>
    public int? Port { get; init; }

    /// <summary>Everything from the first semicolon after the host, without it; headers after <c>?</c> are dropped.</summary>
    public string Parameters { get; init; } = "";

    /// <summary>A loose router's (RFC 3261, 19.1.1).</summary>
    public bool IsLoose => HasParameter("lr");

    /// <summary>The transport the URI names: TLS for sips, the transport parameter, or null.</summary>
    public SipTransport? Transport => Parameter("transport")?.ToUpperInvariant() switch
    {
        "TLS" => SipTransport.Tls,
        "TCP" => Scheme == "sips" ? SipTransport.Tls : SipTransport.Tcp,
        "UDP" => SipTransport.Udp,
        _ => Scheme == "sips" ? SipTransport.Tls : null,
    };

    public IPAddress? Address => Host.Length > 0 && IPAddress.TryParse(Host.AsSpan().Trim("[]"), out var address) ? address : null;

    public static SipUri Parse(string text) => TryParse(text, out var uri) ? uri : throw new FormatException("This is no SIP URI.");

    public static bool TryParse(string text, [NotNullWhen(true)] out SipUri? uri)
    {
        uri = null;
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        if (colon <= 0 || text.Length > MaxLength || !HeaderText.IsSafe(text) || text.AsSpan().ContainsAny(" <>\""))
        {
            return false;
        }

        var scheme = text[..colon].ToLowerInvariant();
        var rest = text[(colon + 1)..];
        return scheme switch
        {
            "tel" => TryParseTel(rest, out uri),
            "sip" or "sips" => TryParseSip(scheme, rest, out uri),
            _ => false,
        };
    }

    /// <summary>A host as the user writes it into settings: <c>host</c>, <c>host:port</c> or a whole URI.</summary>
    public static bool TryParseHost(string text, [NotNullWhen(true)] out SipUri? uri) =>
        TryParse(text.StartsWith("sip:", StringComparison.OrdinalIgnoreCase) || text.StartsWith("sips:", StringComparison.OrdinalIgnoreCase) ? text : "sip:" + text, out uri);

    public static string HostOf(IPAddress address) => address.AddressFamily == AddressFamily.InterNetworkV6 ? $"[{address}]" : address.ToString();

    public string? Parameter(string name) => HeaderText.Parameters(Parameters).GetValueOrDefault(name);

    public bool HasParameter(string name) => HeaderText.Parameters(Parameters).ContainsKey(name);

    public override string ToString()
    {
        var text = new StringBuilder(64).Append(Scheme).Append(':');
        Escape(text, User, UserMarks);
        if (Scheme != "tel")
        {
            if (User.Length > 0)
            {
                text.Append('@');
            }

            text.Append(Host);
            if (Port is { } port)
            {
                text.Append(':').Append(port);
            }
        }

        if (Parameters.Length > 0)
        {
            text.Append(';').Append(Parameters);
        }

        return text.ToString();
    }

    private static bool TryParseTel(string rest, [NotNullWhen(true)] out SipUri? uri)
    {
        var semicolon = rest.IndexOf(';', StringComparison.Ordinal);
        var number = semicolon < 0 ? rest : rest[..semicolon];
        uri = number.Length == 0 ? null : new SipUri { Scheme = "tel", User = Unescape(number), Parameters = semicolon < 0 ? "" : rest[(semicolon + 1)..] };
        return uri is not null;
    }

    private static bool TryParseSip(string scheme, string rest, [NotNullWhen(true)] out SipUri? uri)
    {
        uri = null;
        var at = rest.LastIndexOf('@');
        var user = at < 0 ? "" : rest[..at];
        var password = user.IndexOf(':', StringComparison.Ordinal);
        if (password >= 0)
        {
            user = user[..password];        // deprecated, and nothing to carry along
        }

        var place = rest[(at + 1)..];
        var headers = place.IndexOf('?', StringComparison.Ordinal);
        place = headers < 0 ? place : place[..headers];
        var semicolon = place.IndexOf(';', StringComparison.Ordinal);
        var hostPort = semicolon < 0 ? place : place[..semicolon];
        if (!TryParseHostPort(hostPort, out var host, out var port) || (at >= 0 && user.Length == 0))
        {
            return false;
        }

        uri = new SipUri
        {
            Scheme = scheme,
            User = Unescape(user),
            Host = host,
            Port = port,
            Parameters = semicolon < 0 ? "" : place[(semicolon + 1)..],
        };
        return true;
    }

    /// <summary><c>host[:port]</c>, as in URIs and in Via.</summary>
    internal static bool TryParseHostPort(string text, out string host, out int? port)
    {
        (host, port) = ("", null);
        var close = text.StartsWith('[') ? text.IndexOf(']', StringComparison.Ordinal) : -1;
        var colon = text.IndexOf(':', close + 1);
        host = (colon < 0 ? text : text[..colon]).Trim();
        if (colon >= 0)
        {
            if (!int.TryParse(text.AsSpan(colon + 1).Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number is < 1 or > 65_535)
            {
                return false;
            }

            port = number;
        }

        return host.StartsWith('[')
            ? host.EndsWith(']') && IPAddress.TryParse(host.AsSpan(1, host.Length - 2), out var address) && address.AddressFamily == AddressFamily.InterNetworkV6
            : host.Length is > 0 and <= 255 && host.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_');
    }

    private static void Escape(StringBuilder into, string text, string marks)
    {
        Span<byte> utf8 = stackalloc byte[4];
        foreach (var rune in text.EnumerateRunes())
        {
            if (rune.IsAscii && (char.IsAsciiLetterOrDigit((char)rune.Value) || marks.Contains((char)rune.Value, StringComparison.Ordinal)))
            {
                into.Append((char)rune.Value);
                continue;
            }

            foreach (var octet in utf8[..rune.EncodeToUtf8(utf8)])
            {
                into.Append('%').Append(octet.ToString("X2", CultureInfo.InvariantCulture));
            }
        }
    }

    private static string Unescape(string text) => text.Contains('%', StringComparison.Ordinal) ? Uri.UnescapeDataString(text) : text;
}
