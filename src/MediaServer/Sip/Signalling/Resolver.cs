using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>Where to send a request.</summary>
/// <param name="Host">What the URI said: the name a TLS certificate must hold.</param>
internal readonly record struct Destination(SipTransport Transport, IPEndPoint Address, string Host);

/// <summary>From a URI to addresses, in the order in which to try them (RFC 3263 without NAPTR).</summary>
internal sealed class Resolver(UserAgentOptions options, TimeProvider clock)
{
    private const int MaxDestinations = 4;

    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    public static int DefaultPort(SipTransport transport) => transport == SipTransport.Tls ? 5061 : 5060;

    /// <exception cref="UnreachableException">The name does not resolve.</exception>
    public ValueTask<IReadOnlyList<Destination>> ResolveAsync(SipUri uri, SipTransport? wanted)
    {
        var host = uri.Parameter("maddr") is { Length: > 0 } maddr ? maddr : uri.Host;
        var transport = wanted ?? uri.Transport;
        if (IPAddress.TryParse(host.AsSpan().Trim("[]"), out var address))
        {
            var known = transport ?? SipTransport.Udp;
            return IsUsable(address)
                ? ValueTask.FromResult<IReadOnlyList<Destination>>([new Destination(known, new IPEndPoint(address, uri.Port ?? DefaultPort(known)), uri.Host)])
                : throw new UnreachableException(UnreachableKind.Network, $"{host} is not of the address family of {options.Bind}.");
        }

        return host.Length == 0
            ? throw new UnreachableException(UnreachableKind.NameNotResolved, "The URI names no host.")
            : new ValueTask<IReadOnlyList<Destination>>(ByNameAsync(host, uri.Port, transport));
    }

    private bool IsUsable(IPAddress address) => address.AddressFamily == options.Bind.AddressFamily;

    private async Task<IReadOnlyList<Destination>> ByNameAsync(string host, int? port, SipTransport? transport)
    {
        using var patience = new CancellationTokenSource(Timeout, clock);
        try
        {
            if (port is null && await ByServiceAsync(host, transport, patience.Token) is { Count: > 0 } found)
            {
                return found;
            }

            var known = transport ?? SipTransport.Udp;
            return [.. from address in await LookUpAsync(host, patience.Token) select new Destination(known, new IPEndPoint(address, port ?? DefaultPort(known)), host)];
        }
        catch (OperationCanceledException e)
        {
            throw new UnreachableException(UnreachableKind.NameNotResolved, $"The name {host} could not be resolved within {Timeout.TotalSeconds:0} s.", e);
        }
    }

    private async Task<List<Destination>> ByServiceAsync(string host, SipTransport? transport, CancellationToken ct)
    {
        // A name of one label is of this machine or network and has no service records.
        if (!host.Contains('.', StringComparison.Ordinal) || (options.NameServer ?? SrvQuery.SystemServer()) is not { } server)
        {
            return [];
        }

        SipTransport[] transports = transport is { } only ? [only] : [SipTransport.Udp, SipTransport.Tcp];
        var asked = transports.Select(t => (Transport: t, Answer: SrvQuery.AskAsync(server, Service(t) + host, clock, ct))).ToList();
        var found = new List<Destination>();
        foreach (var (known, answer) in asked)
        {
            foreach (var record in Order(await answer))
            {
                // The target was named by the domain, so the certificate must be the domain's (RFC 5922, 4).
                try
                {
                    found.AddRange(from address in await LookUpAsync(record.Host, ct) select new Destination(known, new IPEndPoint(address, record.Port), host));
                }
                catch (UnreachableException)
                {
                    // The next record may do.
                }

                if (found.Count >= MaxDestinations)
                {
                    return found;
                }
            }
        }

        return found;
    }

    private async Task<List<IPAddress>> LookUpAsync(string host, CancellationToken ct)
    {
        try
        {
            var addresses = await Dns.GetHostAddressesAsync(host, ct);
            return addresses.Where(IsUsable).Take(MaxDestinations).ToList() is { Count: > 0 } usable
                ? usable
                : throw new UnreachableException(UnreachableKind.NameNotResolved, $"The name {host} has no address that can be reached from {options.Bind}.");
        }
        catch (Exception e) when (e is SocketException or ArgumentException)
        {
            throw new UnreachableException(UnreachableKind.NameNotResolved, $"The name {host} does not resolve.", e);
        }
    }

    /// <summary>By priority; within one at random, by weight.</summary>
    private static IEnumerable<SrvRecord> Order(IReadOnlyList<SrvRecord> records) =>
        from record in records
        orderby record.Priority, Math.Log(RandomNumberGenerator.GetInt32(1, int.MaxValue) / (double)int.MaxValue) / Math.Max(record.Weight, 0.01) descending
        select record;

    private static string Service(SipTransport transport) => transport switch
    {
        SipTransport.Tls => "_sips._tcp.",
        SipTransport.Tcp => "_sip._tcp.",
        _ => "_sip._udp.",
    };
}
