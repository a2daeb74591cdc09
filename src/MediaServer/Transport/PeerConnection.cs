using System.Net;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using VoicePlatform.MediaServer.Transport.Dtls;
using VoicePlatform.MediaServer.Transport.Ice;
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
internal sealed partial class PeerConnection : IMediaPeer, ISctpObserver
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

    /// <summary>SSRCs the client publishes with.</summary>
    internal int KnownStreams => _sections.KnownStreams;

    public PeerStats Stats => _reports.Statistics(Volatile.Read(ref _packetsIn), Volatile.Read(ref _bytesIn));

    /// <summary>Applies an offer (first, further, or ICE restart) and answers it.</summary>
    /// <param name="offerSdp">The client's offer.</param>
    /// <param name="choices">How the client wants to publish; null: as it offers.</param>
    /// <exception cref="SdpException">The offer cannot be understood; the peer stays as it was.</exception>
    public Negotiated Negotiate(string offerSdp, PublishingChoices? choices = null)
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
            var answers = _sections.Apply(offer, choices ?? PublishingChoices.None);
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
        Free();
        lock (_gate)
        {
            _dtls?.Dispose();
            _transport.Remove(this, _ice, _previousIce, _addresses);
            _addresses.Clear();
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>Something of ours failed while it was busy with this peer: the connection ends, and its owner is told.</summary>
    internal void Break() => Move(PeerState.Failed);

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

    private static Dictionary<string, string> Assigned(IEnumerable<AnsweredSection> answers) => answers
        .OfType<AnsweredSection.Sending>()
        .ToDictionary(a => a.Offer.Mid, a => a.Subscription.TrackSid, StringComparer.Ordinal);

    private List<OfferedSection> Published(SessionOffer offer) => offer.Sections
        .Where(s => !s.IsRejected && s.Kind is "audio" or "video" && s.Direction is Direction.SendOnly or Direction.SendAndReceive)
        .Select(s => new OfferedSection(s.Mid, s.Kind, s.TrackId, s.Kind == "audio" ? _sections.PublishedIn(s.Mid) : null))
        .ToList();

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

    [LoggerMessage(Level = LogLevel.Debug, Message = "A candidate of {Length} characters is not needed: ICE-lite.")]
    private partial void CandidateIgnored(int length);
}
