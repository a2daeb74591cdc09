using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;

namespace VoicePlatform.Trunks;

/// <summary>Where a provider takes calls: a host name or IP address, with or without a port. No scheme, no user.</summary>
internal sealed partial record SipAddress(string Host, int? Port)
{
    public static bool TryParse(string? text, [NotNullWhen(true)] out SipAddress? address)
    {
        address = null;
        if (text is null || Form().Match(text) is not { Success: true } match)
        {
            return false;
        }

        int? port = null;
        if (match.Groups["port"] is { Success: true } digits)
        {
            if (!int.TryParse(digits.Value, NumberStyles.None, CultureInfo.InvariantCulture, out var value) || value is < 1 or > 65_535)
            {
                return false;
            }

            port = value;
        }

        var host = match.Groups["host"].Value.Trim('[', ']');
        if (!IPAddress.TryParse(host, out _) && (Uri.CheckHostName(host) is not UriHostNameType.Dns || host.All(c => char.IsAsciiDigit(c) || c == '.')))
        {
            return false;
        }

        address = new(host.ToLowerInvariant(), port);
        return true;
    }

    public IPAddress? Ip => IPAddress.TryParse(Host, out var ip) ? ip : null;

    public override string ToString() => (Ip is { AddressFamily: System.Net.Sockets.AddressFamily.InterNetworkV6 } ? $"[{Host}]" : Host) + (Port is { } port ? $":{port}" : "");

    [GeneratedRegex(@"^(?<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(:(?<port>[0-9]{1,5}))?$", RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture)]
    private static partial Regex Form();
}
