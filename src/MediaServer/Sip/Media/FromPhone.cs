using System.Diagnostics;
using System.Net;
using VoicePlatform.MediaServer.Sip.Media.Codecs;
using VoicePlatform.MediaServer.Sip.Media.Dtmf;
using VoicePlatform.MediaServer.Sip.Media.Net;
using VoicePlatform.MediaServer.Sip.Media.Playout;
using VoicePlatform.MediaServer.Sip.Media.Sdp;
using VoicePlatform.MediaServer.Transport;
using VoicePlatform.MediaServer.Transport.Ice;
using VoicePlatform.MediaServer.Transport.Rtp;
using VoicePlatform.MediaServer.Transport.Srtp;

namespace VoicePlatform.MediaServer.Sip.Media;

/// <summary>
/// What comes from the phone: packets on the receive thread, played out on the pacing thread. Two locks, never held together: one for
/// what a packet touches, one for what a turn does. The observer is called outside of both.
/// </summary>
internal sealed class FromPhone : IDisposable
{
    private const byte ComfortNoiseType = 13;

    private readonly ToPhone _toPhone;
    private readonly IPhoneObserver _observer;
    private readonly MediaClock _clock;
    private readonly TimeSpan _timeout;

    private readonly Lock _receiving = new();
    private readonly Lock _playing = new();
    private readonly PhoneDecoders _decoders = new();
    private readonly SourceLatch _latch = new();
    private readonly DtmfReceiver _keys = new();
    private readonly short[] _pcm = new short[PlayoutBuffer.MaxTick];
    private readonly ToRoom _toRoom;
    private readonly PlayoutBuffer _playout;
    private ReceptionStatistics? _reception;
    private long _lostBefore;
    private int _clockRate = 8_000;
    private volatile MediaPlan? _plan;
    private SrtpSession? _srtp;
    private SdesKey? _key;
    private IOpusOut? _room;
    private IPcmSink? _listener;
    private Tone _tone;
    private bool _isDisposed;
    private bool _hasAudio;
    private bool _isWatching;
    private bool _isTimedOut;
    private bool _isTold;           // the first audio
    private long _lastPacketMs;
    private long _packets;
    private long _bytes;
    private long _keysHeard;
    private long _strangers;
    private long _refused;

    public FromPhone(ToPhone toPhone, IPhoneObserver observer, MediaClock clock, int opusComplexity, TimeSpan timeout)
    {
        (_toPhone, _observer, _clock, _timeout) = (toPhone, observer, clock, timeout);
        (_toRoom, _playout) = (new ToRoom(opusComplexity), new PlayoutBuffer(_decoders));
    }

    public void Use(MediaPlan plan)
    {
        lock (_receiving)
        {
            if (_isDisposed)
            {
                return;
            }

            if (plan.ReceiveKey is null || !plan.ReceiveKey.IsSameKey(_key))
            {
                _srtp?.Dispose();
                _key = plan.ReceiveKey;
                _srtp = _key is null ? null : SrtpSession.Create(_key.Profile, _key.KeyAndSalt, isInbound: true);
            }

            _plan = plan;
            if (plan.Remote is { } remote)
            {
                _latch.Declare(RemoteAddress.From(remote.Serialize()), _clock.NowMs);
            }

            Aim(plan);
            _lastPacketMs = _clock.NowMs;        // a change of hold begins the wait anew
        }
    }

    /// <summary>From now on silence for long is a fault.</summary>
    public void Watch()
    {
        lock (_receiving)
        {
            (_isWatching, _lastPacketMs) = (true, _clock.NowMs);
        }
    }

    public void Connect(IOpusOut? room)
    {
        lock (_playing)
        {
            _room = room;
        }
    }

    public void Listen(IPcmSink? listener)
    {
        lock (_playing)
        {
            _listener = listener;
        }
    }

    public void Play(PhoneTone tone)
    {
        lock (_playing)
        {
            _tone = Tone.Of(tone);
        }
    }

    /// <summary>Takes one datagram of either port, which may be anything from anybody. The receive thread's; allocates nothing.</summary>
    public void OnDatagram(Span<byte> datagram, SocketAddress from, bool isRtcpPort)
    {
        Span<DtmfPress> presses = stackalloc DtmfPress[2 * DtmfReceiver.MaxPresses];
        int pressed;
        bool isFirst;
        lock (_receiving)
        {
            if (_isDisposed || _plan is not { } plan)
            {
                return;
            }

            if (isRtcpPort || RtpPacket.IsRtcp(datagram))
            {
                OnRtcp(datagram, from, plan);
                return;
            }

            pressed = OnRtp(datagram, from, plan, presses);
            isFirst = _hasAudio && !_isTold;
            _isTold |= isFirst;
        }

        if (isFirst)
        {
            _observer.OnFirstAudio();
        }

        Tell(presses[..pressed]);
    }

    /// <summary>One turn of the pacing thread. Allocates nothing.</summary>
    public void Tick()
    {
        lock (_playing)
        {
            if (_isDisposed || (_plan is null && _tone.Amplitude == 0))
            {
                _room?.Skip(960);
                return;
            }

            var samples = _playout.Pull(_pcm, Stopwatch.GetTimestamp(), out _);
            var pcm = _pcm.AsSpan(0, samples);
            if (_plan is { IsHeldHere: true })
            {
                pcm.Clear();
            }

            _listener?.OnPcm(pcm, _playout.Rate);
            if (_room is not null)
            {
                _toRoom.Send(_room, pcm, _playout.Rate, _tone);
            }
        }

        Watch(_clock.NowMs);
    }

    public ReportBlock? Report(long nowMs)
    {
        lock (_receiving)
        {
            return _reception is { } reception && _packets > 0 ? reception.Report(_latch.Ssrc, nowMs) : null;
        }
    }

    public PhoneStatistics AddTo(PhoneStatistics sent)
    {
        lock (_receiving)
        {
            return sent with
            {
                PacketsReceived = _packets,
                BytesReceived = _bytes,
                Lost = _lostBefore + (_reception?.Lost ?? 0),
                Jitter = TimeSpan.FromSeconds((double)(_reception?.Jitter ?? 0) / _clockRate),
                Late = _playout.Late,
                Concealed = _playout.Concealed,
                Buffered = _playout.Buffered,
                Restarts = _playout.Restarts,
                DtmfReceived = _keysHeard,
                Strangers = _strangers,
                Refused = _refused,
            };
        }
    }

    public void Dispose()
    {
        lock (_receiving)
        {
            _isDisposed = true;
            _srtp?.Dispose();
            _srtp = null;
        }

        lock (_playing)
        {
            (_room, _listener) = (null, null);
            _decoders.Dispose();
            _toRoom.Dispose();
        }
    }

    private int OnRtp(Span<byte> datagram, SocketAddress from, MediaPlan plan, Span<DtmfPress> presses)
    {
        if (plan.MustDecrypt)
        {
            var length = _srtp?.Unprotect(datagram) ?? 0;
            datagram = datagram[..length];
        }

        if (!RtpPacket.TryRead(datagram, out var packet) || packet.Payload.IsEmpty || !IsAgreed(packet, plan))
        {
            _refused++;
            return 0;
        }

        var nowMs = _clock.NowMs;
        var verdict = _latch.Judge(RemoteAddress.From(from), packet.Ssrc, packet.Sequence, plan.MustDecrypt, nowMs);
        if (verdict == Verdict.Refuse)
        {
            _strangers++;
            return 0;
        }

        var pressed = 0;
        if (verdict == Verdict.AcceptNewStream)
        {
            pressed = BeginStream(plan, packet, presses);
        }

        (_lastPacketMs, _isTimedOut) = (nowMs, false);
        _packets++;
        _bytes += datagram.Length;
        _reception!.OnPacket(packet.Sequence, packet.Timestamp, nowMs);
        if (plan.EventTypes.TryGetValue(packet.PayloadType, out var eventClock))
        {
            pressed += _keys.Take(packet.Payload, packet.Timestamp, packet.Marker, eventClock, nowMs, presses[pressed..]);
            _playout.IsInterrupted = _keys.IsOpen;
            return pressed;
        }

        _playout.IsInterrupted = false;
        var codec = plan.CodecOf(packet.PayloadType);
        _hasAudio |= codec is not null;
        if (plan.CanReceive)
        {
            _playout.Insert(codec is { } known ? (byte)known : PlayoutBuffer.Noise, packet.Sequence, packet.Timestamp, packet.Payload, Stopwatch.GetTimestamp());
        }

        return pressed;
    }

    private static bool IsAgreed(in RtpPacket packet, MediaPlan plan) =>
        packet.PayloadType == ComfortNoiseType || plan.CodecOf(packet.PayloadType) is not null || plan.EventTypes.ContainsKey(packet.PayloadType);

    private int BeginStream(MediaPlan plan, in RtpPacket packet, Span<DtmfPress> presses)
    {
        if (_reception is not null)
        {
            _lostBefore += _reception.Lost;
            _playout.Restart();
        }

        _clockRate = (plan.CodecOf(packet.PayloadType) ?? plan.Codec).Clock();
        _reception = new ReceptionStatistics(_clockRate);
        Aim(plan);
        return _keys.Restart(presses);
    }

    private void OnRtcp(Span<byte> datagram, SocketAddress from, MediaPlan plan)
    {
        var source = RemoteAddress.From(from);
        if (_latch.Address is not { } address || address.High != source.High || address.Low != source.Low)
        {
            _strangers++;
            return;
        }

        var length = !plan.MustDecrypt ? datagram.Length : _srtp?.UnprotectRtcp(datagram) ?? 0;
        ReadOnlySpan<byte> compound = datagram[..length];
        while (RtcpPacket.TryReadNext(ref compound, out var packet))
        {
            if (packet.Type == RtcpPacket.SenderReport && packet.Ssrc == _latch.Ssrc)
            {
                _reception?.OnSenderReport(packet.Ntp, _clock.NowMs);
            }

            for (var i = 0; i < packet.BlockCount; i++)
            {
                _toPhone.OnReport(packet.Block(i), _clock.NtpNow());
            }
        }
    }

    /// <summary>Where our packets go: back to where the phone's come from; until some came, to the address in its SDP.</summary>
    private void Aim(MediaPlan plan)
    {
        if (plan.Remote is null)
        {
            _toPhone.Aim(null, null);
            return;
        }

        var rtp = _latch.Address?.ToEndPoint() ?? plan.Remote;
        var isElsewhere = !rtp.Equals(plan.Remote);
        var rtcp = plan.HasRtcpMux ? rtp : isElsewhere ? new IPEndPoint(rtp.Address, Math.Min(rtp.Port + 1, ushort.MaxValue)) : plan.RemoteRtcp!;
        _toPhone.Aim(rtp.Serialize(), rtcp.Serialize());
    }

    private void Watch(long nowMs)
    {
        Span<DtmfPress> presses = stackalloc DtmfPress[DtmfReceiver.MaxPresses];
        int pressed;
        bool isTimedOut;
        lock (_receiving)
        {
            pressed = _keys.Expire(nowMs, presses);
            _playout.IsInterrupted &= pressed == 0;

            isTimedOut = _isWatching && !_isTimedOut && _plan is { CanReceive: true, IsHeldThere: false, IsHeldHere: false }
                && nowMs - _lastPacketMs >= _timeout.TotalMilliseconds;
            _isTimedOut |= isTimedOut;
        }

        Tell(presses[..pressed]);
        if (isTimedOut)
        {
            _observer.OnMediaTimeout();
        }
    }

    private void Tell(ReadOnlySpan<DtmfPress> presses)
    {
        foreach (var press in presses)
        {
            Interlocked.Increment(ref _keysHeard);
            _observer.OnDtmf(press.Digit, press.DurationMs);
        }
    }
}
