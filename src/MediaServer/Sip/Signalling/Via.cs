using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>One Via value (RFC 3261, 20.42; rport: RFC 3581).</summary>
internal sealed record Via(string Protocol, string Host, int? Port, string Parameters)
{
    public const string MagicCookie = "z9hG4bK";

    public string? Branch => Parameter("branch");

    public string? Received => Parameter("received");

    public bool WantsRport => HeaderText.Parameters(Parameters).TryGetValue("rport", out _);

    public int? Rport => int.TryParse(Parameter("rport"), NumberStyles.None, CultureInfo.InvariantCulture, out var port) ? port : null;

    /// <summary>Whether the branch follows RFC 3261 and alone names the transaction.</summary>
    public bool HasUniqueBranch => Branch is { } branch && branch.Length > MagicCookie.Length && branch.StartsWith(MagicCookie, StringComparison.OrdinalIgnoreCase);

    public static bool TryParse(string? text, [NotNullWhen(true)] out Via? via)
    {
        via = null;
        if (text is null)
        {
            return false;
        }

        // SIP / 2.0 / UDP host: white space is allowed around the slashes.
        var semicolon = text.IndexOf(';', StringComparison.Ordinal);
        var head = (semicolon < 0 ? text : text[..semicolon]).Trim();
        var slash = head.IndexOf('/', StringComparison.Ordinal);
        var second = slash < 0 ? -1 : head.IndexOf('/', slash + 1);
        if (second < 0 || !head.AsSpan(0, slash).Trim().Equals("SIP", StringComparison.OrdinalIgnoreCase) || !head.AsSpan(slash + 1, second - slash - 1).Trim().SequenceEqual("2.0"))
        {
            return false;
        }

        var rest = head[(second + 1)..].TrimStart();
        var blank = rest.AsSpan().IndexOfAny(' ', '\t');
        if (blank <= 0 || !HeaderText.IsToken(rest.AsSpan(0, blank)) || !SipUri.TryParseHostPort(rest[blank..].Trim(), out var host, out var port))
        {
            return false;
        }

        via = new Via(rest[..blank].ToUpperInvariant(), host, port, semicolon < 0 ? "" : text[(semicolon + 1)..].Trim());
        return true;
    }

    /// <summary>Notes where the request really came from (RFC 3261, 18.2.1; RFC 3581, 4).</summary>
    public Via Seen(IPEndPoint source)
    {
        var parameters = HeaderText.Split(Parameters, ';').Where(p => !Named(p, "received") && !Named(p, "rport")).ToList();
        if (WantsRport || Host != SipUri.HostOf(source.Address))
        {
            parameters.Add($"received={source.Address}");
        }

        if (WantsRport)
        {
            parameters.Add($"rport={source.Port}");
        }

        return this with { Parameters = string.Join(';', parameters) };
    }

    public override string ToString() => $"SIP/2.0/{Protocol} {Host}{(Port is { } port ? $":{port}" : "")}{(Parameters.Length == 0 ? "" : ";" + Parameters)}";

    private static bool Named(string parameter, string name) =>
        parameter.StartsWith(name, StringComparison.OrdinalIgnoreCase) && (parameter.Length == name.Length || parameter[name.Length] is '=' or ' ');

    private string? Parameter(string name) => HeaderText.Parameters(Parameters).GetValueOrDefault(name);
}
