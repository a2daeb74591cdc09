using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>The TCP and TLS listeners and all connections, whoever opened them. A connection is used for all requests to its peer.</summary>
internal sealed partial class StreamPorts(UserAgentOptions options, IMessageSink sink, UserAgentCounters counters, TimeProvider clock, ILogger log) : IAsyncDisposable
{
    private static readonly TimeSpan MessageTimeout = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan SweepPeriod = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan AcceptPause = TimeSpan.FromMilliseconds(50);

    private readonly CancellationTokenSource _stopping = new();
    private readonly ConcurrentDictionary<StreamConnection, string> _connections = new();         // with the host the certificate was checked for
    private readonly ConcurrentDictionary<(SipTransport, IPEndPoint, string), Lazy<Task<StreamConnection>>> _connecting = new();
    private readonly ConcurrentDictionary<IPAddress, int> _perSource = new();
    private readonly List<Task> _accepting = [];
    private ITimer? _sweep;
    private int _count;

    public int ConnectionCount => _connections.Count;

    public void Start(Socket tcp, Socket? tls)
    {
        _accepting.Add(AcceptAsync(tcp, SipTransport.Tcp));
        if (tls is not null)
        {
            _accepting.Add(AcceptAsync(tls, SipTransport.Tls));
        }

        _sweep = clock.CreateTimer(_ => Sweep(), null, SweepPeriod, SweepPeriod);
    }

    /// <summary>The connection to a peer, a new one where none is open.</summary>
    /// <exception cref="UnreachableException">There is none to be had.</exception>
    public async Task<Flow> ConnectAsync(Destination to)
    {
        var host = to.Transport == SipTransport.Tls ? to.Host : "";
        foreach (var (open, checkedFor) in _connections)
        {
            if (open.IsOpen && open.Transport == to.Transport && open.Remote.Equals(to.Address) && checkedFor == host)
            {
                return open;
            }
        }

        var key = (to.Transport, to.Address, host);
        var connecting = _connecting.GetOrAdd(key, k => new Lazy<Task<StreamConnection>>(() => OpenAsync(to, host)));
        try
        {
            return await connecting.Value;
        }
        finally
        {
            _connecting.TryRemove(new KeyValuePair<(SipTransport, IPEndPoint, string), Lazy<Task<StreamConnection>>>(key, connecting));
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_sweep is not null)
        {
            await _sweep.DisposeAsync();
        }

        await _stopping.CancelAsync();
        await Task.WhenAll(_accepting).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        using var patience = new CancellationTokenSource(options.StopTimeout, clock);
        await using (patience.Token.Register(() =>
        {
            foreach (var connection in _connections.Keys)
            {
                connection.Close();
            }
        }))
        {
            await Task.WhenAll(_connections.Keys.Select(c => c.DisposeAsync().AsTask()));
        }

        _stopping.Dispose();
    }

    private async Task<StreamConnection> OpenAsync(Destination to, string host)
    {
        if (Interlocked.Increment(ref _count) > options.MaxConnections || _stopping.IsCancellationRequested)
        {
            Interlocked.Decrement(ref _count);
            throw new UnreachableException(UnreachableKind.Local, $"The SIP user agent holds {options.MaxConnections} connections already.");
        }

        var socket = new Socket(to.Address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using var patience = new CancellationTokenSource(options.ConnectTimeout, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, _stopping.Token);
        try
        {
            if (!options.Bind.Equals(IPAddress.Any) && !options.Bind.Equals(IPAddress.IPv6Any))
            {
                socket.Bind(new IPEndPoint(options.Bind, 0));
            }

            await socket.ConnectAsync(to.Address, either.Token);
            Stream stream = new NetworkStream(socket, ownsSocket: true);
            if (to.Transport == SipTransport.Tls)
            {
                stream = await ShakeHandsAsync(stream, to, either.Token);
            }

            return Adopt(stream, to.Transport, to.Address, host, isInbound: false);
        }
        catch (Exception e) when (e is SocketException or IOException or AuthenticationException or OperationCanceledException)
        {
            Interlocked.Decrement(ref _count);
            socket.Dispose();
            throw Explain(e, to);
        }
        catch (UnreachableException)
        {
            Interlocked.Decrement(ref _count);
            socket.Dispose();
            throw;
        }
    }

    private async Task<Stream> ShakeHandsAsync(Stream stream, Destination to, CancellationToken ct)
    {
        var tls = new SslStream(stream);
        var client = new SslClientAuthenticationOptions { TargetHost = to.Host.Trim('[', ']') };
        if (options.TrustedCertificate is { } trusted)
        {
            client.CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
                CustomTrustStore = { trusted },
            };
        }

        try
        {
            await tls.AuthenticateAsClientAsync(client, ct);
            return tls;
        }
        catch (Exception e) when (e is AuthenticationException or IOException)
        {
            await tls.DisposeAsync();
            throw new UnreachableException(UnreachableKind.Tls, $"The TLS handshake with {to.Host} failed: {e.Message.TrimEnd('.')}.", e);
        }
        catch (OperationCanceledException e)
        {
            await tls.DisposeAsync();
            throw new UnreachableException(UnreachableKind.Tls, $"The TLS handshake with {to.Host} did not come to an end.", e);
        }
    }

    private UnreachableException Explain(Exception e, Destination to)
    {
        var place = $"{to.Address} by {to.Transport.ToString().ToUpperInvariant()}";
        return e switch
        {
            SocketException { SocketErrorCode: SocketError.ConnectionRefused } => new UnreachableException(UnreachableKind.ConnectionRefused, $"{place} refused the connection.", e),
            OperationCanceledException when _stopping.IsCancellationRequested => new UnreachableException(UnreachableKind.Local, "The SIP user agent has stopped.", e),
            OperationCanceledException => new UnreachableException(UnreachableKind.NoResponse, $"{place} did not take the connection within {options.ConnectTimeout.TotalSeconds:0.#} s.", e),
            SocketException { SocketErrorCode: SocketError.TimedOut } => new UnreachableException(UnreachableKind.NoResponse, $"{place} did not take the connection.", e),
            _ => new UnreachableException(UnreachableKind.Network, $"{place} cannot be reached: {e.Message.TrimEnd('.')}.", e),
        };
    }

    private StreamConnection Adopt(Stream stream, SipTransport transport, IPEndPoint remote, string host, bool isInbound)
    {
        var connection = new StreamConnection(stream, transport, remote, isInbound, options.MaxMessageBytes, sink, counters, clock);
        _connections[connection] = host;
        connection.Start(Forget);
        return connection;
    }

    private void Forget(StreamConnection connection)
    {
        if (_connections.TryRemove(connection, out _))
        {
            Interlocked.Decrement(ref _count);
            if (connection.IsInbound)
            {
                LeaveSource(connection.Remote.Address);
            }
        }
    }

    private async Task AcceptAsync(Socket listener, SipTransport transport)
    {
        using var owned = listener;
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                var socket = await listener.AcceptAsync(_stopping.Token);
                socket.NoDelay = true;
                _ = WelcomeAsync(socket, transport);        // catches everything; the connection table owns what comes of it
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (SocketException e)
            {
                AcceptFailed(e.SocketErrorCode);
                await Task.Delay(AcceptPause, clock, _stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task WelcomeAsync(Socket socket, SipTransport transport)
    {
        if (socket.RemoteEndPoint is not IPEndPoint remote)
        {
            socket.Dispose();
            return;
        }

        var isFull = Interlocked.Increment(ref _count) > options.MaxConnections;
        if (_perSource.AddOrUpdate(remote.Address, 1, (_, n) => n + 1) > Math.Max(1, options.MaxConnections / 8) || isFull || _stopping.IsCancellationRequested)
        {
            counters.Count(ref counters.ConnectionsRefused);
            Refuse();
            return;
        }

        try
        {
            Stream stream = new NetworkStream(socket, ownsSocket: true);
            if (transport == SipTransport.Tls)
            {
                var tls = new SslStream(stream);
                using var patience = new CancellationTokenSource(options.ConnectTimeout, clock);
                using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, _stopping.Token);
                await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = options.Certificate }, either.Token);
                stream = tls;
            }

            Adopt(stream, transport, remote, host: "", isInbound: true);
        }
#pragma warning disable CA1031 // a stranger's handshake may fail in any way it likes, and only its own connection ends
        catch (Exception)
#pragma warning restore CA1031
        {
            counters.Count(ref counters.ConnectionsRefused);
            Refuse();
        }

        void Refuse()
        {
            Interlocked.Decrement(ref _count);
            LeaveSource(remote.Address);
            socket.Dispose();
        }
    }

    private void LeaveSource(IPAddress source)
    {
        if (_perSource.AddOrUpdate(source, 0, (_, n) => n - 1) <= 0)
        {
            _perSource.TryRemove(new KeyValuePair<IPAddress, int>(source, 0));
        }
    }

    /// <summary>Closes what nobody uses and keeps open what somebody does.</summary>
    private void Sweep()
    {
        foreach (var connection in _connections.Keys)
        {
            if (connection.OverdueFor > MessageTimeout)
            {
                connection.Close();
            }
            else if (connection.IsHeld)
            {
                if (connection.UnusedFor > options.KeepAlive)
                {
                    connection.Ping();
                }
            }
            else if (connection.UnusedFor > options.IdleTimeout)
            {
                connection.Close();
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "A SIP connection could not be accepted: {Error}.")]
    private partial void AcceptFailed(SocketError error);
}
