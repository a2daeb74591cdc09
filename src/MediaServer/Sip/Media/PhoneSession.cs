using System.Net;
using System.Net.Sockets;
using VoicePlatform.MediaServer.Sip.Media.Net;
using VoicePlatform.MediaServer.Transport;

namespace VoicePlatform.MediaServer.Sip.Media;

/// <summary>The audio of one telephone call: what is agreed, what comes, what goes. Every member may be called from any thread.</summary>
internal sealed class PhoneSession : IDisposable
{
    private const int FirstReportMs = 1_000;
    private const int ReportMs = 5_000;

    private readonly Lock _gate = new();        // guards the negotiation
    private readonly PhoneMedia _media;
    private readonly RtpPair _sockets;
    private readonly MediaClock _clock;
    private readonly MediaNegotiation _negotiation;
    private readonly ToPhone _toPhone;
    private readonly FromPhone _fromPhone;
    private readonly string _name;
    private volatile MediaPlan? _plan;
    private long _nextReportMs;
    private int _isDisposed;

    internal PhoneSession(PhoneMedia media, long id, RtpPair sockets, PhoneMediaOptions server, PhoneSessionOptions options, IPhoneObserver observer, MediaClock clock)
    {
        var codecs = options.Codecs is { Count: > 0 } some ? [.. some.Distinct()] : PhoneCodecs.All;
        var local = new IPEndPoint(server.PublicAddress ?? server.Bind, sockets.Port);
        (_media, Id, _sockets, _clock) = (media, id, sockets, clock);
        _negotiation = new MediaNegotiation(codecs, options.Encryption, local);
        _toPhone = new ToPhone(new UdpSender(sockets.Rtp), new UdpSender(sockets.Rtcp), server.OpusComplexity);
        _fromPhone = new FromPhone(_toPhone, observer, clock, server.OpusComplexity, options.MediaTimeout);
        _name = $"phone-{_toPhone.Ssrc:x8}";
        _nextReportMs = clock.NowMs + FirstReportMs;
    }

    /// <summary>The UDP port of our RTP; RTCP is on the next.</summary>
    public int Port => _negotiation.Port;

    /// <summary>Whether the other side has put us on hold.</summary>
    public bool IsOnHold => _plan is { IsHeldThere: true };

    /// <summary>What we send: <c>opus</c>, <c>G722</c>, <c>PCMU</c> or <c>PCMA</c>; empty before an answer.</summary>
    public string Codec => _plan?.Codec.Name() ?? "";

    public bool IsEncrypted => _plan is { SendKey: not null };

    public PhoneStatistics Statistics => _fromPhone.AddTo(_toPhone.Statistics);

    /// <summary>How much of what was written waits to be sent.</summary>
    public TimeSpan Queued => _toPhone.Queue.Queued;

    internal long Id { get; }

    internal SafeSocketHandle RtpHandle => _sockets.Rtp.SafeHandle;

    internal SafeSocketHandle RtcpHandle => _sockets.Rtcp.SafeHandle;

    /// <summary>The offer of our INVITE.</summary>
    public string CreateOffer() => Offer(hold: false);

    /// <summary>The offer of our re-INVITE, to put the other side on hold or to take it back. Holds from its answer on.</summary>
    public string CreateReOffer(bool hold) => Offer(hold);

    /// <summary>Takes the answer to our offer; may be called again for the same offer, with the answers of several provisional responses.</summary>
    /// <param name="sdp">The session description.</param>
    /// <param name="isEarly">The call is not answered yet (183): nothing sent for long is no fault, until <see cref="Answered"/>.</param>
    /// <exception cref="MediaRefusedException">It cannot be accepted; what was agreed before stays.</exception>
    public void AcceptAnswer(string sdp, bool isEarly = false)
    {
        lock (_gate)
        {
            Use(_negotiation.TakeAnswer(sdp), isEarly);
        }
    }

    /// <summary>The answer to the first or a later offer of the other side.</summary>
    /// <param name="offer">The session description.</param>
    /// <param name="isEarly">The call is not answered yet (183): nothing sent for long is no fault, until <see cref="Answered"/>.</param>
    /// <exception cref="MediaRefusedException">It cannot be accepted; what was agreed before stays.</exception>
    public string CreateAnswer(string offer, bool isEarly = false)
    {
        lock (_gate)
        {
            var (sdp, plan) = _negotiation.Answer(offer);
            Use(plan, isEarly);
            return sdp;
        }
    }

    /// <summary>The call is answered: from now on audio is expected. Only needed after early media.</summary>
    public void Answered() => _fromPhone.Watch();

    /// <summary>The phone's voice goes there from now on; null ends it.</summary>
    public void Connect(IOpusOut? room) => _fromPhone.Connect(room);

    /// <summary>A track of the room that the phone hears. Its frames go into the result; a track that is there already is replaced.</summary>
    public IAudioSink AddTrack(string trackSid) => _toPhone.AddTrack(trackSid);

    public void RemoveTrack(string trackSid) => _toPhone.RemoveTrack(trackSid);

    /// <summary>Presses keys (RFC 4733, or as tones where the other side cannot take events).</summary>
    /// <param name="digits">0-9, *, #, A-D, and <c>w</c> to wait half a second; at most 256.</param>
    /// <returns>Completes when the last was sent; cancelled when the session is disposed.</returns>
    /// <exception cref="ArgumentException">Names what cannot be sent.</exception>
    public Task SendDtmfAsync(string digits, CancellationToken cancellationToken) => _toPhone.PressAsync(digits, cancellationToken);

    /// <summary>Plays a tone to the phone, mixed with everything else, until another or <see cref="PhoneTone.None"/>.</summary>
    public void Play(PhoneTone tone) => _toPhone.Play(tone);

    /// <summary>Plays a tone to the room as if it came from the phone, also before there is any answer.</summary>
    public void PlayToRoom(PhoneTone tone) => _fromPhone.Play(tone);

    /// <summary>The phone's voice as PCM, beside the room; null ends it.</summary>
    public void Listen(IPcmSink? sink) => _fromPhone.Listen(sink);

    /// <summary>Queues sound for the phone, behind what is queued already; it is sent as soon as the phone listens.</summary>
    /// <param name="pcm">Mono.</param>
    /// <param name="rate">8,000, 16,000, 24,000 or 48,000 Hz.</param>
    /// <returns>How many samples were taken: fewer than given when 60 s are queued.</returns>
    /// <exception cref="ArgumentException">The rate is not that of what is queued still.</exception>
    public int Write(ReadOnlySpan<short> pcm, int rate) => _toPhone.Queue.Write(pcm, rate);

    /// <summary>Forgets what was written and not sent yet.</summary>
    public void ClearQueue() => _toPhone.Queue.Clear();

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
        {
            _media.Remove(this);
            _sockets.Dispose();
            _toPhone.Dispose();
            _fromPhone.Dispose();
        }
    }

    internal void OnDatagram(Span<byte> datagram, SocketAddress from, bool isRtcpPort) => _fromPhone.OnDatagram(datagram, from, isRtcpPort);

    internal void SendTick(long dueNs) => _toPhone.Tick(dueNs);

    internal void Skip(int ticks) => _toPhone.Skip(ticks);

    internal void ReceiveTick()
    {
        _fromPhone.Tick();
        var nowMs = _clock.NowMs;
        if (nowMs >= _nextReportMs)
        {
            _nextReportMs = nowMs + ReportMs;
            _toPhone.Report(_fromPhone.Report(nowMs), _clock.NtpNow(), _name);
        }
    }

    private string Offer(bool hold)
    {
        lock (_gate)
        {
            var (sdp, early) = _negotiation.Offer(hold);
            _fromPhone.Use(early);
            return sdp;
        }
    }

    private void Use(MediaPlan plan, bool isEarly)
    {
        _plan = plan;
        _toPhone.Use(plan);
        _fromPhone.Use(plan);
        if (!isEarly)
        {
            _fromPhone.Watch();
        }
    }
}
