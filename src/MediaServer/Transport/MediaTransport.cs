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
    private const int PacketsPerTick = 512;
    private const int JoinMs = 100;
    private const int ReceivePauseMs = 10;
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
    private UdpSender? _sender;
    private PeerConnection? _receiving;     // whose datagram the receive thread is at
    private int _peerCount;
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

    public int PeerCount => _peers.Count;

    public TransportCounters Counters { get; } = new();

    internal SctpInbox Inbox { get; } = new();

    internal long ConsentTimeoutMs { get; }

    internal CertificateFingerprint Fingerprint => Identity.Fingerprint;

    internal DtlsIdentity Identity => _identity ?? throw new InvalidOperationException("The media transport has not been started.");

    internal IPEndPoint Candidate => new(_options.PublicAddress ?? _options.Bind, UdpPort);

    /// <summary>Loads the native libraries, binds the port and starts the threads.</summary>
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
        if (_stopping.IsSet || Interlocked.Increment(ref _peerCount) > _options.MaxPeers)
        {
            Interlocked.Decrement(ref _peerCount);
            throw new TransportException($"The media transport holds {_options.MaxPeers} peers already.");
        }

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
            // The receive thread sits in a blocking call: a datagram to ourselves ends it. One may get lost in a full buffer.
            do
            {
                Knock();
            }
            while (_receiver?.Join(JoinMs) is false);

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
        if (_peers.TryRemove(peer, out _))
        {
            Interlocked.Decrement(ref _peerCount);
        }

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
            if (_sender!.TrySend(datagram, to))
            {
                return;
            }
        }
        catch (ObjectDisposedException)
        {
            // The server has stopped.
        }

        Counters.SendFailed++;      // no route, no buffer: to the peer it is loss
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
            _sender = new UdpSender(socket);
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
            _receiving = null;
            try
            {
                var length = _socket!.ReceiveFrom(buffer, SocketFlags.None, from);
                Dispatch(buffer.AsSpan(0, length), from);
            }
            catch (SocketException e)
            {
                Counters.ReceiveFailed++;
                ReceiveFailed(e.SocketErrorCode);
                _stopping.Wait(ReceivePauseMs);     // an error that stays must not take the processor and fill the log
            }
#pragma warning disable CA1031 // one peer's fault must not end the port of all
            catch (Exception e)
#pragma warning restore CA1031
            {
                End(_receiving, e);
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
                _receiving = peer;
                peer.OnDtls(datagram);
                break;
            case >= 128 and <= 191 when _byAddress.TryGetValue(RemoteAddress.From(from), out var peer):
                _receiving = peer;
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

        _receiving = peer;
        peer.OnStun(message, remoteUfrag, key, from);
    }

    private void Exchange()
    {
        var packet = GC.AllocateUninitializedArray<byte>(MaxDatagram);
        var waiting = new HashSet<PeerConnection>();        // whose room has not kept up: looked at every tick
        var done = new List<PeerConnection>();
        long drainedAtMs = 0;
        while (!_stopping.IsSet)
        {
            SctpStack.Tick(Environment.TickCount64);
            Inbox.Wait(DataTickMs);

            // Not until it is empty: a flood must not stop the timers.
            for (var i = 0; i < PacketsPerTick && Inbox.Take(packet, out var length) is { } peer; i++)
            {
                TakeData(peer, packet.AsSpan(0, length), waiting);
            }

            foreach (var peer in waiting)
            {
                TakeData(peer, default, waiting: null);
                if (!peer.HasWaitingData)
                {
                    done.Add(peer);
                }
            }

            waiting.ExceptWith(done);
            done.Clear();
            if (_clock.NowMs - drainedAtMs >= DrainMs)
            {
                drainedAtMs = _clock.NowMs;
                foreach (var (peer, _) in _peers)
                {
                    TakeData(peer, default, waiting);
                }
            }
        }
    }

    private void TakeData(PeerConnection peer, ReadOnlySpan<byte> packet, HashSet<PeerConnection>? waiting)
    {
        try
        {
            peer.OnSctp(packet);
            if (peer.HasWaitingData)
            {
                waiting?.Add(peer);
            }
        }
#pragma warning disable CA1031 // one peer's fault must not end the data channels of all
        catch (Exception e)
#pragma warning restore CA1031
        {
            End(peer, e);
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
            End(peer, e);
        }
    }

    /// <summary>A fault is a bug of ours: it is counted and told, and costs the peer it happened to its connection, nobody else.</summary>
    private void End(PeerConnection? peer, Exception fault)
    {
        Counters.Faults++;
        Fault(fault);
        try
        {
            peer?.Break();
        }
#pragma warning disable CA1031 // the thread goes on for the others
        catch (Exception e)
#pragma warning restore CA1031
        {
            Fault(e);
        }
    }

    private void Knock()
    {
        using var knock = new Socket(_socket!.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        var own = _options.Bind.Equals(IPAddress.Any) ? IPAddress.Loopback
            : _options.Bind.Equals(IPAddress.IPv6Any) ? IPAddress.IPv6Loopback
            : _options.Bind;
        try
        {
            knock.SendTo([0xFF], new IPEndPoint(own, UdpPort));
        }
        catch (SocketException)
        {
            // Tried again.
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Media on UDP {Address}:{Port}.")]
    private partial void Started(IPAddress address, int port);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The media port could not receive: {Error}.")]
    private partial void ReceiveFailed(SocketError error);

    [LoggerMessage(Level = LogLevel.Error, Message = "The media transport had a fault; the peer it happened to is closed.")]
    private partial void Fault(Exception fault);
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

    /// <summary>Datagrams the system did not take: no route, or its buffer is full.</summary>
    public long SendFailed { get; set; }

    public long ReceiveFailed { get; set; }

    /// <summary>Exceptions caught at the loops' outer edge: each is a bug, and closed a peer.</summary>
    public long Faults { get; set; }
}
