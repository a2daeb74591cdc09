using System.Buffers.Binary;
using System.Net;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using VoicePlatform.MediaServer.Transport.Dtls;
using VoicePlatform.MediaServer.Transport.Ice;
using VoicePlatform.MediaServer.Transport.Rtp;
using VoicePlatform.MediaServer.Transport.Sctp;
using VoicePlatform.MediaServer.Transport.Sdp;
using VoicePlatform.MediaServer.Transport.Srtp;

namespace VoicePlatform.MediaServer.Transport;

/// <summary>One WebRTC peer connection in which the client always offers. Thread-safe.</summary>
/// <remarks>
/// Three locks, none held while the observer is called: <c>_negotiation</c> (sections; API threads only), <c>_gate</c> (DTLS and ICE;
/// the transport's threads and senders of data), the sender's gate (outgoing SRTP). The SCTP stack's lock may be held when
/// <c>_gate</c> is taken, never the other way round. <c>_transitions</c> is held while a change of state is told, and taken only by the
/// transport's threads.
/// </remarks>
internal sealed partial class PeerConnection : IAsyncDisposable, ISctpObserver
{
    private const int MaxAddresses = 8;
    private const int MaxCandidateLength = 4_096;
    private const int ConsentExpiryMs = 30_000;
    private const int MaxPacket = 4_096;

    private readonly MediaTransport _transport;
    private readonly IPeerObserver _observer;
    private readonly MediaClock _clock;
    private readonly ILogger _log;
    private readonly Lock _negotiation = new();
    private readonly Lock _gate = new();
    private readonly Lock _transitions = new();     // orders the reports of the transport's threads
    private readonly Lock _inboundGate = new();     // the SRTP session of what comes in
    private readonly MediaSections _sections;
    private readonly SrtpSender _sender;
    private readonly PeerReports _reports;
    private readonly byte[] _plain = GC.AllocateUninitializedArray<byte>(MaxPacket);
    private readonly List<RemoteAddress> _addresses = [];
    private readonly ushort?[] _channels = new ushort?[3];
    private readonly ulong _sessionId = (ulong)RandomNumberGenerator.GetInt32(1, int.MaxValue);
    private readonly uint[] _reporters = new uint[64];
    private int _nextReporter;
    private SessionOffer? _offer;
    private IceCredentials? _ice;
    private IceCredentials? _previousIce;
    private DtlsSession? _dtls;
    private SctpAssociation? _sctp;
    private SrtpSession? _inbound;
    private SocketAddress? _remote;
    private RemoteAddress _remoteKey;
    private bool _isDtlsClient;
    private int _version;
    private int _state = (int)PeerState.Connecting;
    private volatile bool _isDisposed;
    private long _heardAtMs;
    private long _reportedAtMs;
    private long _packetsIn;
    private long _bytesIn;

    internal PeerConnection(MediaTransport transport, IPeerObserver observer, MediaClock clock, ILogger log)
    {
        (_transport, _observer, _clock, _log) = (transport, observer, clock, log);
        _sender = new SrtpSender(SendToRemote);
        _sections = new MediaSections(_sender, clock, ForgetInbound);
        _reports = new PeerReports(_sender, _sections, clock);
    }

    public PeerState State => (PeerState)Volatile.Read(ref _state);

    /// <summary>Subscriptions for which the last offer had no receiving section left.</summary>
    public int MissingAudioSections
    {
        get
        {
            lock (_negotiation)
            {
                return _sections.Missing;
            }
        }
    }

    /// <summary>A subscription waits for a section, or one was removed since the last answer. Ask again after each negotiation.</summary>
    public bool NeedsNegotiation
    {
        get
        {
            lock (_negotiation)
            {
                return _sections.NeedsNegotiation;
            }
        }
    }

    public PeerStats Stats => _reports.Statistics(Volatile.Read(ref _packetsIn), Volatile.Read(ref _bytesIn));

    /// <summary>Applies an offer (first, further, or ICE restart) and answers it.</summary>
    /// <param name="offerSdp">The client's offer.</param>
    /// <param name="plainOpus">Track ids (cids) that must not be published with RED (AddTrackRequest.disable_red).</param>
    /// <exception cref="SdpException">The offer cannot be understood; the peer stays as it was.</exception>
    public Negotiated Negotiate(string offerSdp, IReadOnlySet<string>? plainOpus = null)
    {
        var offer = OfferParser.Parse(offerSdp);
        lock (_negotiation)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (_offer is not null && !offer.Fingerprint.Matches(_offer.Fingerprint))
            {
                throw new SdpException("The offer changes the certificate of a running connection: make a new one for that.");
            }

            UseTransport(offer);
            var answers = _sections.Apply(offer, plainOpus);
            _offer = offer;
            _version++;
            var sdp = AnswerWriter.Write(
                new AnswerTransport(_ice!, _transport.Fingerprint, _isDtlsClient, _transport.Candidate, _sessionId, _version), answers);
            return new Negotiated(sdp, Assigned(answers), Published(offer), _sections.Missing);
        }
    }

    /// <summary>
    /// Takes a candidate of the client and does nothing with it: an ICE-lite server answers checks and never sends any, so it learns the
    /// client's addresses from them.
    /// </summary>
    public void AddRemoteCandidate(string candidate)
    {
        if (candidate.Length > MaxCandidateLength)
        {
            throw new SdpException($"The candidate is longer than {MaxCandidateLength} characters.");
        }

        CandidateIgnored(candidate.Length);
    }

    /// <summary>Wants a track forwarded to this peer. It gets a receiving section at this or a later negotiation.</summary>
    /// <param name="source">A track published by another peer.</param>
    /// <param name="streamId">Stream id of the msid, the publisher's participant sid.</param>
    /// <param name="trackSid">Track id of the msid.</param>
    public Subscription Subscribe(InboundAudio source, string streamId, string trackSid)
    {
        var subscription = new Subscription(source, streamId, trackSid);
        lock (_negotiation)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            _sections.Add(subscription);
        }

        source.Add(subscription);
        return subscription;
    }

    /// <summary>Stops forwarding at once. The section is answered <c>inactive</c> at the next negotiation and can be used again after it.</summary>
    public void Unsubscribe(Subscription subscription)
    {
        subscription.Source.Remove(subscription);
        lock (_negotiation)
        {
            _sections.Remove(subscription);
        }
    }

    /// <summary>
    /// Sends one message. False when the channel is not open, the message is longer than 256 KiB, or the send buffer (1 MiB) has no
    /// room for it: the caller decides whether that peer is too slow to be kept.
    /// </summary>
    public bool SendData(DataChannelKind channel, ReadOnlySpan<byte> message)
    {
        var sctp = _sctp;
        return sctp is not null && _channels[(int)channel] is { } stream && sctp.Send(stream, message);
    }

    /// <summary>Tells the client (DTLS close_notify) and frees everything. Not reported to the observer.</summary>
    public ValueTask DisposeAsync()
    {
        lock (_negotiation)
        {
            if (_isDisposed)
            {
                return ValueTask.CompletedTask;
            }

            _isDisposed = true;
            _sections.Clear();
        }

        Volatile.Write(ref _state, (int)PeerState.Closed);
        _sctp?.Dispose();
        lock (_gate)
        {
            _dtls?.Dispose();
            _transport.Remove(this, _ice, _previousIce, _addresses);
            _addresses.Clear();
        }

        _sender.Dispose();
        lock (_inboundGate)
        {
            _inbound?.Dispose();
            _inbound = null;
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>A check addressed to one of this peer's user names. Receive thread.</summary>
    internal void OnStun(in StunMessage request, ReadOnlySpan<byte> remoteUfrag, ulong key, SocketAddress from)
    {
        var address = RemoteAddress.From(from);
        Span<byte> answer = stackalloc byte[128];
        int length;
        lock (_gate)
        {
            var ice = _ice?.Key == key ? _ice : _previousIce?.Key == key ? _previousIce : null;
            if (_isDisposed || ice is null || !remoteUfrag.SequenceEqual(ice.RemoteUfrag) || !request.IsAuthentic(ice.PasswordBytes))
            {
                _transport.Counters.StunRefused++;
                return;
            }

            if (request.IsControlled)
            {
                // Both would be controlled; the client has to take over (RFC 8445 section 7.3.1.1).
                length = StunMessage.WriteError(answer, request.Transaction, 487, ice.PasswordBytes);
            }
            else
            {
                length = StunMessage.WriteSuccess(answer, request.Transaction, address, ice.PasswordBytes);
                Hear(ice, address, from, request.UseCandidate);
            }
        }

        _transport.Send(answer[..length], from);
        StartDtls();
        ReportLiveness();
    }

    /// <summary>A datagram of DTLS from an address that proved to be this peer's. Receive thread.</summary>
    internal void OnDtls(ReadOnlySpan<byte> datagram)
    {
        bool wasUp, isUp;
        lock (_gate)
        {
            if (_isDisposed || _dtls is null)
            {
                return;
            }

            wasUp = _dtls.Progress == DtlsProgress.Established;
            _dtls.Receive(datagram);
            isUp = _dtls.Progress == DtlsProgress.Established;
            if (isUp)
            {
                _heardAtMs = _clock.NowMs;
            }
        }

        if (isUp && !wasUp)
        {
            Establish();
        }

        while (ReadRecord() is var length && length > 0)
        {
            _transport.Inbox.Add(this, _plain.AsSpan(0, length));
        }

        ReportDtlsEnd();
    }

    /// <summary>A datagram of SRTP or SRTCP. Decrypted in place. Receive thread.</summary>
    internal void OnMedia(Span<byte> datagram)
    {
        if (RtpPacket.IsRtcp(datagram))
        {
            OnRtcp(datagram);
            return;
        }

        // The header is in the clear: what belongs to no published track costs no decryption, and no state in the SRTP session.
        if (!RtpPacket.TryReadHeader(datagram, out var header) || _sections.Find(header) is not { } audio)
        {
            _transport.Counters.MediaRefused++;
            return;
        }

        int length;
        lock (_inboundGate)
        {
            length = _inbound?.Unprotect(datagram) ?? 0;
        }

        if (length == 0 || !RtpPacket.TryRead(datagram[..length], out var packet))
        {
            _transport.Counters.MediaRefused++;
            return;
        }

        _sections.Learn(packet.Ssrc, audio);
        Volatile.Write(ref _packetsIn, _packetsIn + 1);
        Volatile.Write(ref _bytesIn, _bytesIn + length);
        Volatile.Write(ref _heardAtMs, _clock.NowMs);
        var isFirst = audio.PacketsReceived == 0;
        audio.Receive(packet);
        if (isFirst && audio.PacketsReceived > 0)
        {
            _observer.OnAudioStarted(audio);
        }
    }

    /// <summary>Every 50 ms. Timer thread.</summary>
    internal void OnTick(long nowMs)
    {
        if (_isDisposed)
        {
            return;
        }

        lock (_gate)
        {
            if (!_isDisposed)
            {
                _dtls?.OnTimer();
            }
        }

        ReportDtlsEnd();
        ReportLiveness();
        if (nowMs - _reportedAtMs >= 1_000 && State is PeerState.Connected)
        {
            _reportedAtMs = nowMs;
            _reports.Send(nowMs);
        }
    }

    /// <summary>One SCTP packet. Data thread.</summary>
    internal void OnSctp(ReadOnlySpan<byte> packet) => _sctp?.Receive(packet);

    /// <summary>Every second. Data thread.</summary>
    internal void OnDataTick() => _sctp?.Drain();

    void ISctpObserver.OnChannelOpen(ushort stream, in ChannelOpen open)
    {
        DataChannelKind? kind = open.Label switch
        {
            "_reliable" => DataChannelKind.Reliable,
            "_lossy" => DataChannelKind.Lossy,
            "_data_track" => DataChannelKind.DataTrack,
            _ => null,
        };
        if (kind is { } known)
        {
            _channels[(int)known] = stream;
            _observer.OnDataChannelOpen(known);
        }
    }

    void ISctpObserver.OnMessage(ushort stream, ReadOnlySpan<byte> message)
    {
        var index = Array.IndexOf(_channels, stream);
        if (index >= 0)
        {
            _observer.OnData((DataChannelKind)index, message);
        }
    }

    void ISctpObserver.OnChannelClosed(ushort stream)
    {
        var index = Array.IndexOf(_channels, stream);
        if (index >= 0)
        {
            _channels[index] = null;
        }
    }

    void ISctpObserver.OnAssociationLost(bool byPeer)
    {
        // Clients abort SCTP before they close DTLS: that is a goodbye, not a failure.
        Move(byPeer ? PeerState.Closed : PeerState.Failed);
    }

    private static Dictionary<string, string> Assigned(IEnumerable<AnsweredSection> answers) => answers
        .OfType<AnsweredSection.Sending>()
        .ToDictionary(a => a.Offer.Mid, a => a.Subscription.TrackSid, StringComparer.Ordinal);

    private List<OfferedSection> Published(SessionOffer offer) => offer.Sections
        .Where(s => !s.IsRejected && s.Kind is "audio" or "video" && s.Direction is Direction.SendOnly or Direction.SendAndReceive)
        .Select(s => new OfferedSection(s.Mid, s.Kind, s.TrackId, s.Kind == "audio" ? _sections.PublishedIn(s.Mid) : null))
        .ToList();

    private void UseTransport(SessionOffer offer)
    {
        lock (_gate)
        {
            if (_offer is null)
            {
                _isDtlsClient = offer.IsPassive;
            }

            if (_offer is null || _offer.IceUfrag != offer.IceUfrag || _offer.IcePassword != offer.IcePassword)
            {
                // An ICE restart: checks of the old session count until the new one is up; DTLS and SRTP go on as they are.
                _transport.Forget(_previousIce);
                _previousIce = _ice;
                _ice = new IceCredentials(offer.IceUfrag);
                _transport.Register(_ice, this);
            }
        }
    }

    /// <summary>Counts an authentic check; called under the gate.</summary>
    private void Hear(IceCredentials ice, in RemoteAddress address, SocketAddress from, bool isNominated)
    {
        _heardAtMs = _clock.NowMs;
        if (!_addresses.Contains(address))
        {
            if (_addresses.Count == MaxAddresses)
            {
                _transport.Unmap(_addresses[0], this);
                _addresses.RemoveAt(0);
            }

            _addresses.Add(address);
        }

        _transport.Map(address, this);
        if (!isNominated || ice != _ice)
        {
            return;     // the old session of a restart must not take the path back
        }

        if (_previousIce is not null)
        {
            _transport.Forget(_previousIce);
            _previousIce = null;
        }

        if (_remote is null || _remoteKey != address)
        {
            _remoteKey = address;
            var copy = new SocketAddress(from.Family, from.Size);
            from.Buffer.Span[..from.Size].CopyTo(copy.Buffer.Span);
            _remote = copy;
        }
    }

    private void StartDtls()
    {
        if (_dtls is not null || _remote is null)
        {
            return;
        }

        lock (_gate)
        {
            if (_isDisposed || _offer is null)
            {
                return;
            }

            _dtls = new DtlsSession(_transport.Identity, _isDtlsClient, _offer.Fingerprint, SendToRemote);
            _dtls.Start();
        }
    }

    private void Establish()
    {
        SrtpKeys keys;
        lock (_gate)
        {
            keys = _dtls!.ExportSrtpKeys();
        }

        if (keys.Profile != SrtpProfile.None)
        {
            lock (_inboundGate)
            {
                _inbound = SrtpSession.Create(keys.Profile, keys.Inbound, isInbound: true);
            }

            _sender.Use(SrtpSession.Create(keys.Profile, keys.Outbound, isInbound: false));
            _sender.IsOpen = true;
        }

        var sctp = new SctpAssociation(this, SendRecord);
        _sctp = sctp;
        if (_isDisposed)
        {
            sctp.Dispose();     // lost the race with DisposeAsync, which did not see it
            return;
        }

        sctp.Connect();
        Established(keys.Profile);
        Move(PeerState.Connected);
    }

    private void ForgetInbound(uint ssrc)
    {
        lock (_inboundGate)
        {
            _inbound?.Remove(ssrc);
        }
    }

    private int ReadRecord()
    {
        lock (_gate)
        {
            return _isDisposed || _dtls is null ? 0 : _dtls.Read(_plain);
        }
    }

    private void SendRecord(ReadOnlySpan<byte> plain)
    {
        lock (_gate)
        {
            if (!_isDisposed || State == PeerState.Closed)
            {
                _dtls?.Write(plain);
            }
        }
    }

    private void SendToRemote(ReadOnlySpan<byte> datagram)
    {
        if (_remote is { } remote)
        {
            _transport.Send(datagram, remote);
        }
    }

    private void ReportDtlsEnd()
    {
        if (_dtls is not { } dtls || dtls.Progress is DtlsProgress.Handshaking or DtlsProgress.Established || _isDisposed)
        {
            return;
        }

        if (dtls.Progress == DtlsProgress.Failed && State is not PeerState.Failed)
        {
            DtlsFailed(dtls.Failure ?? "no reason given");
        }

        Move(dtls.Progress == DtlsProgress.Failed ? PeerState.Failed : PeerState.Closed);
    }

    private void ReportLiveness()
    {
        if (State is not (PeerState.Connected or PeerState.Disconnected))
        {
            return;
        }

        var silent = _clock.NowMs - Volatile.Read(ref _heardAtMs);
        Move(silent > _transport.ConsentTimeoutMs ? PeerState.Disconnected : PeerState.Connected);

        // Sending goes on for a while, the client may still listen; without consent it must stop after 30 s (RFC 7675).
        _sender.IsOpen = silent < ConsentExpiryMs && _inbound is not null;
    }

    private void Move(PeerState next)
    {
        lock (_transitions)
        {
            var now = State;
            if (now == next || now is PeerState.Failed or PeerState.Closed || _isDisposed)
            {
                return;
            }

            if (Interlocked.CompareExchange(ref _state, (int)next, (int)now) == (int)now)
            {
                if (next is PeerState.Failed or PeerState.Closed)
                {
                    _sender.IsOpen = false;
                }

                _observer.OnStateChanged(next);
            }
        }
    }

    private void OnRtcp(Span<byte> datagram)
    {
        var length = 0;
        if (datagram.Length >= 8)
        {
            lock (_inboundGate)
            {
                length = _inbound?.UnprotectRtcp(datagram) ?? 0;
                if (length > 0)
                {
                    Remember(BinaryPrimitives.ReadUInt32BigEndian(datagram[4..]));
                }
            }
        }

        if (length == 0)
        {
            _transport.Counters.MediaRefused++;
            return;
        }

        Volatile.Write(ref _heardAtMs, _clock.NowMs);
        _reports.Take(datagram[..length]);
    }

    /// <summary>
    /// Keeps the number of SSRCs bounded that reports come from, as each costs state in the SRTP session: the oldest is forgotten for a
    /// new one.
    /// </summary>
    private void Remember(uint reporter)
    {
        if (_reporters.AsSpan().Contains(reporter))
        {
            return;
        }

        ref var oldest = ref _reporters[_nextReporter];
        if (oldest != 0 && !_sections.Knows(oldest))
        {
            _inbound?.Remove(oldest);
        }

        oldest = reporter;
        _nextReporter = (_nextReporter + 1) % _reporters.Length;
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "A candidate of {Length} characters is not needed: ICE-lite.")]
    private partial void CandidateIgnored(int length);

    [LoggerMessage(Level = LogLevel.Debug, Message = "DTLS is up, SRTP profile {Profile}.")]
    private partial void Established(SrtpProfile profile);

    [LoggerMessage(Level = LogLevel.Warning, Message = "DTLS failed: {Reason}.")]
    private partial void DtlsFailed(string reason);
}
