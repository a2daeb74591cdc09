using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using VoicePlatform.MediaServer.Transport;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>All sockets of the user agent, and what it calls itself on each.</summary>
internal sealed class Network(UserAgentOptions options, IMessageSink sink, UserAgentCounters counters, TimeProvider clock, ILogger log) : IAsyncDisposable
{
    private const int Backlog = 128;
    private const int SocketBuffer = 1024 * 1024;
    private const int PortAttempts = 50;

    private readonly Resolver _resolver = new(options, clock);
    private readonly StreamPorts _streams = new(options, sink, counters, clock, log);
    private UdpPort? _udp;

    public int Port { get; private set; }

    public int? TlsPort { get; private set; }

    public int ConnectionCount => _streams.ConnectionCount;

    /// <exception cref="TransportException">Says which port is in the way.</exception>
    public void Start()
    {
        if (options.TlsPort is not null && options.Certificate is null)
        {
            throw new TransportException("SIP over TLS needs a certificate.");
        }

        var (udp, tcp) = BindBoth();
        Socket? tls = null;
        try
        {
            tls = options.TlsPort is { } port ? Listen(port) : null;
        }
        catch
        {
            udp.Dispose();
            tcp.Dispose();
            throw;
        }

        Port = ((IPEndPoint)udp.LocalEndPoint!).Port;
        TlsPort = (tls?.LocalEndPoint as IPEndPoint)?.Port;
        _udp = new UdpPort(udp, sink, counters, log);
        _udp.Start();
        _streams.Start(tcp, tls);
    }

    /// <exception cref="UnreachableException">The name does not resolve.</exception>
    public ValueTask<IReadOnlyList<Destination>> ResolveAsync(SipUri uri, SipTransport? transport) => _resolver.ResolveAsync(uri, transport);

    /// <exception cref="UnreachableException">No connection is to be had.</exception>
    public ValueTask<Flow> OpenAsync(Destination to) => to.Transport == SipTransport.Udp
        ? ValueTask.FromResult(_udp!.To(to.Address))
        : new ValueTask<Flow>(_streams.ConnectAsync(to));

    public Flow Udp(IPEndPoint to) => _udp!.To(to);

    /// <summary>Host and port of ours that the peer of a flow can reach: for Via and Contact.</summary>
    public (string Host, int Port) SelfOn(Flow flow)
    {
        var address = options.PublicAddress ?? (IsAny(options.Bind) ? LocalTowards(flow.Remote) : options.Bind);
        return (SipUri.HostOf(address), flow.Transport == SipTransport.Tls ? TlsPort ?? Port : Port);
    }

    public async ValueTask DisposeAsync()
    {
        await _streams.DisposeAsync();
        _udp?.Dispose();
    }

    private static bool IsAny(IPAddress address) => address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any);

    /// <summary>The address the system would send from; nothing is sent.</summary>
    private static IPAddress LocalTowards(IPEndPoint remote)
    {
        try
        {
            using var socket = new Socket(remote.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            socket.Connect(remote);
            return ((IPEndPoint)socket.LocalEndPoint!).Address;
        }
        catch (SocketException)
        {
            return IPAddress.Loopback;
        }
    }

    private (Socket Udp, Socket Tcp) BindBoth()
    {
        for (var attempt = 1; ; attempt++)
        {
            var tcp = Listen(options.Port);
            try
            {
                return (BindUdp(((IPEndPoint)tcp.LocalEndPoint!).Port), tcp);
            }
            catch (TransportException) when (options.Port == 0 && attempt < PortAttempts)
            {
                tcp.Dispose();      // the number is free for TCP only: another one
            }
            catch
            {
                tcp.Dispose();
                throw;
            }
        }
    }

    private Socket BindUdp(int port)
    {
        var socket = new Socket(options.Bind.AddressFamily, SocketType.Dgram, ProtocolType.Udp) { ReceiveBufferSize = SocketBuffer, SendBufferSize = SocketBuffer };
        return Bind(socket, port, "UDP");
    }

    private Socket Listen(int port)
    {
        var socket = Bind(new Socket(options.Bind.AddressFamily, SocketType.Stream, ProtocolType.Tcp), port, "TCP");
        socket.Listen(Backlog);
        return socket;
    }

    private Socket Bind(Socket socket, int port, string kind)
    {
        try
        {
            socket.Bind(new IPEndPoint(options.Bind, port));
            return socket;
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new TransportException(
                e.SocketErrorCode == SocketError.AddressAlreadyInUse
                    ? $"{kind} port {port} is in use: stop what uses it or set EMBEDDED_SIP_PORT."
                    : $"{kind} port {port} on {options.Bind} cannot be bound: {e.Message}.",
                e);
        }
    }
}
