using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Options;

namespace VoicePlatform.Tenants.Events;

/// <summary>
/// Every connection to a tenant's URL passes here: the name is resolved once and the connection goes to the address that was
/// checked, so that a name cannot change its mind in between. Private, link-local and metadata ranges are refused unless the
/// operator allows them. Redirects are not followed here: whoever follows one passes here again.
/// </summary>
internal sealed class OutboundGuard(IOptions<TenantOptions> options)
{
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(5);

    private static readonly IPNetwork[] Private =
    [
        IPNetwork.Parse("0.0.0.0/8"), IPNetwork.Parse("10.0.0.0/8"), IPNetwork.Parse("100.64.0.0/10"), IPNetwork.Parse("127.0.0.0/8"),
        IPNetwork.Parse("169.254.0.0/16"), IPNetwork.Parse("172.16.0.0/12"), IPNetwork.Parse("192.0.0.0/24"), IPNetwork.Parse("192.168.0.0/16"),
        IPNetwork.Parse("198.18.0.0/15"), IPNetwork.Parse("224.0.0.0/3"),
        
        // IPv6 that stands for IPv4 (compatible, translated, 6to4, Teredo) could lead to any of the above.
        IPNetwork.Parse("::/96"), IPNetwork.Parse("64:ff9b::/96"), IPNetwork.Parse("64:ff9b:1::/48"), IPNetwork.Parse("2002::/16"), IPNetwork.Parse("2001::/32"),
        IPNetwork.Parse("fc00::/7"), IPNetwork.Parse("fe80::/10"), IPNetwork.Parse("fec0::/10"), IPNetwork.Parse("ff00::/8"),
    ];

    public SocketsHttpHandler NewHandler() => new()
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = false,
        ConnectTimeout = ConnectTimeout,
        PooledConnectionLifetime = TimeSpan.FromMinutes(2),
        MaxResponseHeadersLength = 16,

        // The rest of an answer of which only the beginning is wanted: so much, so long, or the connection goes.
        MaxResponseDrainSize = 16 * 1024,
        ResponseDrainTimeout = TimeSpan.FromSeconds(1),
        ConnectCallback = ConnectAsync,
    };

    /// <summary>
    /// Why a URL is refused: it cannot be one of ours, or it names an address outright that may not be reached; null when it is not refused.
    /// Whether a name leads to a private address is known only when it is resolved, which is at every connection.
    /// </summary>
    public string? RefusalOf(string? text) =>
        !Uri.TryCreate(text, UriKind.Absolute, out var url) || url.Scheme is not ("https" or "http") || url.UserInfo.Length > 0
            ? "It must be an absolute http or https URL without credentials."
            : IPAddress.TryParse(url.Host.Trim('[', ']'), out var address) && !IsAllowed(address)
                ? $"{address} is a private address that this installation does not allow (OUTBOUND_ALLOW_PRIVATE)."
                : null;

    public bool IsAllowed(IPAddress address)
    {
        address = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return !Contains(Private, address) || Contains(options.Value.AllowedPrivate, address);
    }

    private static bool Contains(IEnumerable<IPNetwork> networks, IPAddress address) =>
        networks.Any(n => n.BaseAddress.AddressFamily == address.AddressFamily && n.Contains(address));

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken ct)
    {
        var addresses = await Dns.GetHostAddressesAsync(context.DnsEndPoint.Host, ct);
        var allowed = addresses.Where(IsAllowed).ToArray();
        if (allowed.Length == 0)
        {
            throw new HttpRequestException($"{context.DnsEndPoint.Host} leads to no address that this installation may reach.");
        }

        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(allowed, context.DnsEndPoint.Port, ct);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
