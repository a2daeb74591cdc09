using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using VoicePlatform.MediaServer.Transport.Dtls;
using VoicePlatform.MediaServer.Transport.Ice;
using VoicePlatform.MediaServer.Transport.Sctp;

namespace VoicePlatform.MediaServer.Transport;

/// <summary>
/// One UDP port for all peers. A datagram is STUN, DTLS or SRTP by its first byte (RFC 7983); STUN finds its peer by the ICE user name,
/// the rest by the address that authentic STUN came from.
/// </summary>
/// <remarks>
/// Three threads of its own: one receives, decrypts and forwards audio; one does the data channels (SCTP and its timers, messages to the
/// rooms), so that a burst of data never delays audio; one runs the other timers.
/// </remarks>
internal sealed partial class MediaTransport : IAsyncDisposable
{
    private const int MaxDatagram = 4_096;
    private const int SocketBuffer = 4 * 1024 * 1024;
    private const int DataTickMs = 10;
    private const int DrainMs = 1_000;
    private const int TickMs = 50;

    private readonly TransportOptions _options;
    private readonly TimeProvider _time;
    private readonly MediaClock _clock;
    private readonly ILogger _log;
    private readonly ConcurrentDictionary<ulong, PeerConnection> _byUfrag = new();
    private readonly ConcurrentDictionary<RemoteAddress, PeerConnection> _byAddress = new();
    private readonly ConcurrentDictionary<PeerConnection, byte> _peers = new();
    private readonly ManualResetEventSlim _stopping = new();
    private Socket? _socket;
    private DtlsIdentity? _identity;
    private Thread? _receiver;
    private Thread? _data;
    private Thread? _timer;

    public MediaTransport(TransportOptions options, TimeProvider clock, ILoggerFactory logs)
    {
        (_options, _time, _clock) = (options, clock, new MediaClock(clock));
        _log = logs.CreateLogger<MediaTransport>();
        ConsentTimeoutMs = (long)options.ConsentTimeout.TotalMilliseconds;
    }

    /// <summary>The port in use, once started.</summary>
    public int UdpPort { get; private set; }

    public TransportCounters Counters { get; } = new();

    internal SctpInbox Inbox { get; } = new();

    internal long ConsentTimeoutMs { get; }

    internal CertificateFingerprint Fingerprint => Identity.Fingerprint;

    internal DtlsIdentity Identity => _identity ?? throw new InvalidOperationException("The media transport has not been started.");

    internal IPEndPoint Candidate => new(_options.PublicAddress ?? _options.Bind, UdpPort);

    /// <summary>Loads the native libraries, binds the port and starts both threads.</summary>
    /// <exception cref="TransportException">Says what is missing or in the way.</exception>
    public void Start()
    {
        if (_options.PublicAddress is null && (_options.Bind.Equals(IPAddress.Any) || _options.Bind.Equals(IPAddress.IPv6Any)))
        {
            throw new TransportException("The media port is bound to all addresses: set EMBEDDED_PUBLIC_IP to the one that clients reach.");
        }

        NativeLibraries.Load();
        _identity = new DtlsIdentity(_time);
        _socket = Bind();
        UdpPort = ((IPEndPoint)_socket.LocalEndPoint!).Port;
        _receiver = new Thread(Receive) { IsBackground = true, Name = "media receive", Priority = ThreadPriority.AboveNormal };
        _data = new Thread(Exchange) { IsBackground = true, Name = "media data" };
        _timer = new Thread(Tick) { IsBackground = true, Name = "media timer" };
        _receiver.Start();
        _data.Start();
        _timer.Start();
        Started(_options.Bind, UdpPort);
    }

    /// <summary>A connection for one client; dispose it when the client has left.</summary>
    /// <exception cref="TransportException">The server holds as many peers as it may.</exception>
    public PeerConnection CreatePeer(IPeerObserver observer)
    {
        if (_peers.Count >= _options.MaxPeers)
        {
            throw new TransportException($"The media transport holds {_options.MaxPeers} peers already.");
        }

        _ = Identity;
        var peer = new PeerConnection(this, observer, _clock, _log);
        _peers[peer] = 0;
        return peer;
    }

    /// <summary>A source inside this process that peers can subscribe to.</summary>
    /// <param name="name">Takes the place of the mid in logs.</param>
    public InjectedAudio CreateSource(string name) => new(name, _clock);

    public async ValueTask DisposeAsync()
    {
        if (_stopping.IsSet)
        {
            return;
        }

        foreach (var peer in _peers.Keys)
        {
            await peer.DisposeAsync();
        }

        _stopping.Set();
        if (_socket is not null)
        {
            // The receive thread sits in a blocking call: a datagram to ourselves ends it.
            using (var knock = new Socket(_socket.AddressFamily, SocketType.Dgram, ProtocolType.Udp))
            {
                var own = _options.Bind.Equals(IPAddress.Any) ? IPAddress.Loopback
                    : _options.Bind.Equals(IPAddress.IPv6Any) ? IPAddress.IPv6Loopback
                    : _options.Bind;
                knock.SendTo([0xFF], new IPEndPoint(own, UdpPort));
            }

            _receiver?.Join();
            _data?.Join();
            _timer?.Join();
            _socket.Dispose();
        }

        _identity?.Dispose();
        Inbox.Dispose();
        _stopping.Dispose();
    }

    internal void Register(IceCredentials ice, PeerConnection peer) => _byUfrag[ice.Key] = peer;

    internal void Forget(IceCredentials? ice)
    {
        if (ice is not null)
        {
            _byUfrag.TryRemove(ice.Key, out _);
        }
    }

    internal void Map(in RemoteAddress address, PeerConnection peer)
    {
        if (!_byAddress.TryGetValue(address, out var holder) || holder != peer)
        {
            _byAddress[address] = peer;     // a router may give the port of one client to the next: the latest proof wins
        }
    }

    internal void Unmap(in RemoteAddress address, PeerConnection peer) =>
        _byAddress.TryRemove(new KeyValuePair<RemoteAddress, PeerConnection>(address, peer));

    internal void Remove(PeerConnection peer, IceCredentials? ice, IceCredentials? previous, List<RemoteAddress> addresses)
    {
        _peers.TryRemove(peer, out _);
        Forget(ice);
        Forget(previous);
        foreach (var address in addresses)
        {
            Unmap(address, peer);
        }
    }

    internal void Send(ReadOnlySpan<byte> datagram, SocketAddress to)
    {
        try
        {
            _socket!.SendTo(datagram, SocketFlags.None, to);
        }
        catch (SocketException)
        {
            Counters.SendFailed++;      // no route, no buffer: to the peer it is loss
        }
        catch (ObjectDisposedException)
        {
            Counters.SendFailed++;
        }
    }

    private Socket Bind()
    {
        var socket = new Socket(_options.Bind.AddressFamily, SocketType.Dgram, ProtocolType.Udp)
        {
            ReceiveBufferSize = SocketBuffer,
            SendBufferSize = SocketBuffer,
        };
        try
        {
            socket.Bind(new IPEndPoint(_options.Bind, _options.UdpPort));
            return socket;
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new TransportException(
                e.SocketErrorCode == SocketError.AddressAlreadyInUse
                    ? $"UDP port {_options.UdpPort} is in use: stop what uses it or set EMBEDDED_MEDIA_UDP_PORT."
                    : $"UDP port {_options.UdpPort} on {_options.Bind} cannot be bound: {e.Message}.",
                e);
        }
    }

    private void Receive()
    {
        var buffer = GC.AllocateUninitializedArray<byte>(MaxDatagram, pinned: true);
        var from = new SocketAddress(_options.Bind.AddressFamily);
        while (!_stopping.IsSet)
        {
            try
            {
                var length = _socket!.ReceiveFrom(buffer, SocketFlags.None, from);
                Dispatch(buffer.AsSpan(0, length), from);
            }
            catch (SocketException e)
            {
                Counters.ReceiveFailed++;
                ReceiveFailed(e.SocketErrorCode);
            }
#pragma warning disable CA1031 // one peer's fault must not end the port of all
            catch (Exception e)
#pragma warning restore CA1031
            {
                Counters.Faults++;
                DatagramFault(e);
            }
        }
    }

    private void Dispatch(Span<byte> datagram, SocketAddress from)
    {
        Counters.Datagrams++;
        if (datagram.IsEmpty)
        {
            return;
        }

        switch (datagram[0])
        {
            case < 4:
                OnStun(datagram, from);
                break;
            case >= 20 and <= 63 when _byAddress.TryGetValue(RemoteAddress.From(from), out var peer):
                peer.OnDtls(datagram);
                break;
            case >= 128 and <= 191 when _byAddress.TryGetValue(RemoteAddress.From(from), out var peer):
                peer.OnMedia(datagram);
                break;
            default:
                Counters.Strangers++;
                break;
        }
    }

    private void OnStun(ReadOnlySpan<byte> datagram, SocketAddress from)
    {
        if (!StunMessage.TryRead(datagram, out var message)
            || message.Type != StunMessage.BindingRequest
            || !IceCredentials.TryParse(message.Username, out var key, out var remoteUfrag)
            || !_byUfrag.TryGetValue(key, out var peer))
        {
            Counters.StunRefused++;
            return;
        }

        peer.OnStun(message, remoteUfrag, key, from);
    }

    private void Exchange()
    {
        var packet = GC.AllocateUninitializedArray<byte>(MaxDatagram);
        long drainedAtMs = 0;
        while (!_stopping.IsSet)
        {
            try
            {
                SctpStack.Tick(Environment.TickCount64);
                Inbox.Wait(DataTickMs);
                while (Inbox.Take(packet, out var length) is { } peer)
                {
                    peer.OnSctp(packet.AsSpan(0, length));
                }

                if (_clock.NowMs - drainedAtMs >= DrainMs)
                {
                    drainedAtMs = _clock.NowMs;
                    foreach (var (peer, _) in _peers)
                    {
                        peer.OnDataTick();
                    }
                }
            }
#pragma warning disable CA1031 // one peer's fault must not end the data channels of all
            catch (Exception e)
#pragma warning restore CA1031
            {
                Counters.Faults++;
                DatagramFault(e);
            }
        }
    }

    private void Tick()
    {
        while (!_stopping.Wait(TickMs))
        {
            var nowMs = _clock.NowMs;
            foreach (var (peer, _) in _peers)
            {
                TickOne(peer, nowMs);
            }
        }
    }

    private void TickOne(PeerConnection peer, long nowMs)
    {
        try
        {
            peer.OnTick(nowMs);
        }
#pragma warning disable CA1031 // one peer's fault must not touch another
        catch (Exception e)
#pragma warning restore CA1031
        {
            Counters.Faults++;
            TimerFault(e);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Media on UDP {Address}:{Port}.")]
    private partial void Started(IPAddress address, int port);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The media port could not receive: {Error}.")]
    private partial void ReceiveFailed(SocketError error);

    [LoggerMessage(Level = LogLevel.Error, Message = "A datagram caused a fault.")]
    private partial void DatagramFault(Exception fault);

    [LoggerMessage(Level = LogLevel.Error, Message = "A timer caused a fault.")]
    private partial void TimerFault(Exception fault);
}

/// <summary>What the port refused, for diagnosis. Written by several threads without locks: near enough, never exact.</summary>
internal sealed class TransportCounters
{
    public long Datagrams { get; set; }

    /// <summary>STUN that is malformed, unauthentic or for nobody.</summary>
    public long StunRefused { get; set; }

    /// <summary>DTLS and media from addresses nobody proved to own.</summary>
    public long Strangers { get; set; }

    /// <summary>Media that is forged, replayed, malformed or belongs to no published track.</summary>
    public long MediaRefused { get; set; }

    public long SendFailed { get; set; }

    public long ReceiveFailed { get; set; }

    /// <summary>Exceptions caught at the loops' outer edge: each is a bug.</summary>
    public long Faults { get; set; }
}
