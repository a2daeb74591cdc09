using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using VoicePlatform.MediaServer.Transport;
using VoicePlatform.MediaServer.Transport.Dtls;
using VoicePlatform.MediaServer.Transport.Ice;
using VoicePlatform.MediaServer.Transport.Rtp;
using VoicePlatform.MediaServer.Transport.Sctp;
using VoicePlatform.MediaServer.Transport.Srtp;

namespace VoicePlatform.Tests.MediaServer.Transport;

/// <summary>
/// The other end of a peer connection: ICE controlling agent, DTLS client, SRTP and data channels, with a socket and a thread of its own.
/// </summary>
internal sealed class TestClient : IPeerObserver, ISctpObserver, IDisposable
{
    private const int SocketTimeoutMs = 20;
    private readonly DtlsIdentity _identity = new(TimeProvider.System);
    private readonly Lock _gate = new();
    private readonly byte[] _transaction = new byte[12];
    private readonly MediaTransport _server;
    private Socket _socket = NewSocket();
    private readonly Thread _thread;
    private readonly Random _random = new(4);
    private DtlsSession? _dtls;
    private SctpAssociation? _sctp;
    private SrtpSession? _outbound;
    private SrtpSession? _inbound;
    private IPEndPoint? _remote;
    private SocketAddress? _remoteAddress;
    private string _username = "";
    private byte[] _password = [];
    private volatile bool _isStopping;
    private volatile bool _checks = true;

    public TestClient(MediaTransport server)
    {
        _server = server;
        Offers = new Offers { Fingerprint = _identity.Fingerprint.ToString() };
        Peer = server.CreatePeer(this);
        _thread = new Thread(Run) { IsBackground = true, Name = "test client" };
    }

    public Offers Offers { get; }

    public PeerConnection Peer { get; }

    public ConcurrentQueue<PeerState> States { get; } = new();

    public ConcurrentQueue<byte[]> Rtp { get; } = new();

    public ConcurrentQueue<byte[]> Rtcp { get; } = new();

    /// <summary>What this client got over data channels.</summary>
    public ConcurrentQueue<(ushort Stream, byte[] Message)> Received { get; } = new();

    /// <summary>What the server got from this client.</summary>
    public ConcurrentQueue<(DataChannelKind Channel, byte[] Message)> AtServer { get; } = new();

    public ConcurrentQueue<DataChannelKind> OpenAtServer { get; } = new();

    public ConcurrentQueue<InboundAudio> Started { get; } = new();

    public int StunAnswers { get; private set; }

    public bool IsUp => _dtls?.Progress == DtlsProgress.Established && _sctp is not null;

    public bool IsClosed => _dtls?.Progress == DtlsProgress.Closed;

    /// <summary>Changes outgoing SCTP packets before they are encrypted; the checksum is made right again.</summary>
    public Action<byte[]>? Tamper { get; set; }

    /// <summary>Drops media unread, for tests that count allocations.</summary>
    public bool IsDeaf { get; set; }

    /// <summary>Its room at the server takes no more messages.</summary>
    public volatile bool IsBusy;

    /// <summary>Its room at the server has a bug.</summary>
    public volatile bool IsFaulty;

    /// <summary>Share of outgoing and incoming datagrams that get lost.</summary>
    public double Loss { get; set; }

    public string? DtlsFailure => _dtls?.Failure;

    public IPEndPoint LocalEndPoint => (IPEndPoint)_socket.LocalEndPoint!;

    public static bool Eventually(Func<bool> condition, int timeoutMs = 10_000)
    {
        var clock = Stopwatch.StartNew();
        using var never = new ManualResetEventSlim();
        while (!condition())
        {
            if (clock.ElapsedMilliseconds > timeoutMs)
            {
                return false;
            }

            never.Wait(5);
        }

        return true;
    }

    /// <summary>Offers what <see cref="Offers"/> holds and applies the answer.</summary>
    public Negotiated Negotiate(PublishingChoices? choices = null)
    {
        var negotiated = Peer.Negotiate(Offers.ToString(), choices);
        Apply(negotiated.AnswerSdp);
        return negotiated;
    }

    public TestClient Start()
    {
        _thread.Start();
        return this;
    }

    /// <summary>New credentials for the next offer: an ICE restart.</summary>
    public void RestartIce()
    {
        Offers.Ufrag = RandomNumberGenerator.GetHexString(8);
        Offers.Password = RandomNumberGenerator.GetHexString(24);
    }

    /// <summary>Moves to another local port, as a network change does.</summary>
    public void Rebind()
    {
        lock (_gate)
        {
            _socket.Dispose();
            _socket = NewSocket();
        }
    }

    public void StopChecks() => _checks = false;

    public void ResumeChecks() => _checks = true;

    public void OpenChannels()
    {
        Assert.That(_sctp!.Open(0, new ChannelOpen("_lossy", IsUnordered: true, MaxRetransmits: 0, null)), Is.True);
        Assert.That(_sctp.Open(2, new ChannelOpen("_reliable", IsUnordered: false, null, null)), Is.True);
        Assert.That(_sctp.Open(4, new ChannelOpen("_data_track", IsUnordered: true, MaxRetransmits: 0, null)), Is.True);
    }

    public bool SendData(ushort stream, ReadOnlySpan<byte> message) => _sctp!.Send(stream, message);

    /// <summary>Protects and sends a packet.</summary>
    public void SendRtp(ReadOnlySpan<byte> packet)
    {
        var buffer = new byte[packet.Length + SrtpSession.MaxTrailer];
        packet.CopyTo(buffer);
        lock (_gate)
        {
            var length = _outbound!.Protect(buffer, packet.Length);
            Assert.That(length, Is.GreaterThan(0));
            _socket.SendTo(buffer.AsSpan(0, length), _remote!);
        }
    }

    public void SendRtcp(ReadOnlySpan<byte> packet)
    {
        var buffer = new byte[packet.Length + SrtpSession.MaxTrailer];
        packet.CopyTo(buffer);
        lock (_gate)
        {
            var length = _outbound!.ProtectRtcp(buffer, packet.Length);
            _socket.SendTo(buffer.AsSpan(0, length), _remote!);
        }
    }

    /// <summary>As <see cref="SendRtp"/>, without allocating.</summary>
    public void SendRtpLean(ReadOnlySpan<byte> packet)
    {
        Span<byte> buffer = stackalloc byte[512];
        packet.CopyTo(buffer);
        lock (_gate)
        {
            _remoteAddress ??= _remote!.Serialize();
            _socket.SendTo(buffer[.._outbound!.Protect(buffer, packet.Length)], SocketFlags.None, _remoteAddress);
        }
    }

    /// <summary>As <see cref="SendRtp"/>, for packets that may be too broken to be protected.</summary>
    public void TrySendRtp(ReadOnlySpan<byte> packet)
    {
        var buffer = new byte[packet.Length + SrtpSession.MaxTrailer];
        packet.CopyTo(buffer);
        lock (_gate)
        {
            var length = _outbound!.Protect(buffer, packet.Length);
            _socket.SendTo(buffer.AsSpan(0, length), _remote!);
        }
    }

    /// <summary>Any bytes where an SCTP packet should be.</summary>
    public void SendSctp(ReadOnlySpan<byte> packet)
    {
        lock (_gate)
        {
            _dtls!.Write(packet);
        }
    }

    public void SendRaw(ReadOnlySpan<byte> datagram)
    {
        lock (_gate)
        {
            _socket.SendTo(datagram, _remote!);
        }
    }

    public void Dispose()
    {
        _isStopping = true;
        if (_thread.IsAlive)
        {
            _thread.Join();
        }

        _sctp?.Dispose();
        lock (_gate)
        {
            _dtls?.Dispose();
        }

        _inbound?.Dispose();
        _outbound?.Dispose();
        _socket.Dispose();
        _identity.Dispose();
    }

    void IPeerObserver.OnStateChanged(PeerState state) => States.Enqueue(state);

    bool IPeerObserver.IsReady => !IsBusy;

    void IPeerObserver.OnData(DataChannelKind channel, ReadOnlySpan<byte> message)
    {
        if (IsFaulty)
        {
            throw new InvalidOperationException("A bug.");
        }

        AtServer.Enqueue((channel, message.ToArray()));
    }

    void IPeerObserver.OnDataChannelOpen(DataChannelKind channel) => OpenAtServer.Enqueue(channel);

    void IPeerObserver.OnAudioStarted(InboundAudio audio) => Started.Enqueue(audio);

    void ISctpObserver.OnChannelOpen(ushort stream, in ChannelOpen open)
    {
    }

    void ISctpObserver.OnMessage(ushort stream, ReadOnlySpan<byte> message) => Received.Enqueue((stream, message.ToArray()));

    void ISctpObserver.OnChannelClosed(ushort stream)
    {
    }

    void ISctpObserver.OnAssociationLost(bool byPeer)
    {
    }

    private static Socket NewSocket()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = SocketTimeoutMs, ReceiveBufferSize = 1 << 20 };
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return socket;
    }

    private void Apply(string answer)
    {
        string Value(string name) => Regex.Match(answer, $"a={name}:(\\S+)").Groups[1].Value;
        lock (_gate)
        {
            _username = $"{Value("ice-ufrag")}:{Offers.Ufrag}";
            _password = System.Text.Encoding.ASCII.GetBytes(Value("ice-pwd"));
            _remote = new IPEndPoint(IPAddress.Loopback, _server.UdpPort);
            if (_dtls is null)
            {
                var fingerprint = CertificateFingerprint.Parse(Regex.Match(answer, "a=fingerprint:sha-256 (\\S+)").Groups[1].Value)!;
                _dtls = new DtlsSession(_identity, isClient: Value("setup") == "passive", fingerprint, datagram =>
                {
                    if (!IsLost())
                    {
                        _socket.SendTo(datagram, _remote);
                    }
                });
            }
        }
    }

    private void Run()
    {
        var buffer = new byte[4096];
        var plain = new byte[4096];
        var clock = Stopwatch.StartNew();
        var checkAt = 0L;
        EndPoint from = new IPEndPoint(IPAddress.Any, 0);
        using var idle = new ManualResetEventSlim();
        while (!_isStopping)
        {
            lock (_gate)
            {
                if (clock.ElapsedMilliseconds >= checkAt && _checks)
                {
                    checkAt = clock.ElapsedMilliseconds + 100;
                    Check(buffer);
                }

                _dtls!.OnTimer();
            }

            if (IsDeaf)
            {
                idle.Wait(SocketTimeoutMs);
                continue;
            }

            int length;
            try
            {
                length = _socket.ReceiveFrom(buffer, ref from);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                continue;
            }

            if (!IsLost())
            {
                Take(buffer.AsSpan(0, length), plain);
            }
        }
    }

    private bool IsLost()
    {
        if (Loss == 0)
        {
            return false;
        }

        lock (_random)
        {
            return _random.NextDouble() < Loss;
        }
    }

    private void Check(byte[] buffer)
    {
        RandomNumberGenerator.Fill(_transaction);
        var length = StunMessage.WriteRequest(buffer, _transaction, _username, _password, useCandidate: true);
        _socket.SendTo(buffer.AsSpan(0, length), _remote!);
    }

    private void Take(Span<byte> datagram, byte[] plain)
    {
        switch (datagram[0])
        {
            case < 4:
                lock (_gate)
                {
                    if (StunMessage.TryRead(datagram, out var answer) && answer.IsAuthentic(_password) && answer.Type == StunMessage.BindingSuccess)
                    {
                        StunAnswers++;
                        if (StunAnswers == 1)
                        {
                            _dtls!.Start();
                        }
                    }
                }

                break;
            case < 64:
                TakeDtls(datagram, plain);
                break;
            default:
                TakeMedia(datagram);
                break;
        }
    }

    private void TakeDtls(ReadOnlySpan<byte> datagram, byte[] plain)
    {
        var isNew = false;
        lock (_gate)
        {
            var before = _dtls!.Progress;
            _dtls.Receive(datagram);
            isNew = before == DtlsProgress.Handshaking && _dtls.Progress == DtlsProgress.Established;
            if (isNew)
            {
                var keys = _dtls.ExportSrtpKeys();
                _outbound = SrtpSession.Create(keys.Profile, keys.Outbound, isInbound: false);
                _inbound = SrtpSession.Create(keys.Profile, keys.Inbound, isInbound: true);
            }
        }

        if (isNew)
        {
            var sctp = new SctpAssociation(this, packet =>
            {
                if (Tamper is { } tamper)
                {
                    var changed = packet.ToArray();
                    tamper(changed);
                    packet = SctpChecksum.Mend(changed);
                }

                lock (_gate)
                {
                    _dtls.Write(packet);
                }
            });
            sctp.Connect();
            _sctp = sctp;       // From now on it is up: whoever waits for that may open channels, which before Connect are refused.
        }

        while (true)
        {
            int length;
            lock (_gate)
            {
                length = _dtls.Read(plain);
            }

            if (length == 0)
            {
                break;
            }

            _sctp?.Receive(plain.AsSpan(0, length));
        }
    }

    private void TakeMedia(Span<byte> datagram)
    {
        if (RtpPacket.IsRtcp(datagram))
        {
            var size = _inbound?.UnprotectRtcp(datagram) ?? 0;
            if (size > 0)
            {
                Rtcp.Enqueue(datagram[..size].ToArray());
            }

            return;
        }

        var length = _inbound?.Unprotect(datagram) ?? 0;
        if (length > 0)
        {
            Rtp.Enqueue(datagram[..length].ToArray());
        }
    }
}
