using System.Buffers.Binary;
using System.Net;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using VoicePlatform.MediaServer.Sip.Media.Codecs;
using VoicePlatform.MediaServer.Sip.Media.Dtmf;
using VoicePlatform.MediaServer.Sip.Media.Playout;
using VoicePlatform.MediaServer.Sip.Media.Sdp;
using VoicePlatform.MediaServer.Transport;
using VoicePlatform.MediaServer.Transport.Rtp;
using VoicePlatform.MediaServer.Transport.Srtp;

namespace VoicePlatform.MediaServer.Sip.Media;

/// <summary>
/// What the phone hears: every 20 ms the room's tracks, a tone and queued sound are mixed, encoded and sent, or a key press instead. The
/// stream never pauses while the phone listens, silence included: phones and their providers take a pause for a fault.
/// </summary>
internal sealed class ToPhone(UdpSender rtp, UdpSender rtcp, int opusComplexity) : IDisposable
{
    private const int MaxTracks = 16;
    private const int LateNs = 20_000_000;
    private const int MaxPacket = 1_500;
    private const int MaxFrameMs = 60;

    private readonly Lock _gate = new();        // guards all below; the pacing thread holds it for its turn
    private readonly DtmfSender _keys = new();
    private readonly ToneGenerator _tones = new();
    private readonly ToneGenerator _keyTones = new();
    private readonly int[] _mix = new int[PlayoutBuffer.MaxTick];
    private readonly short[] _scratch = new short[PlayoutBuffer.MaxTick];
    private readonly short[] _frame = new short[48 * (MaxFrameMs + PlayoutBuffer.TickMs)];
    private readonly byte[] _packet = new byte[MaxPacket];
    private RoomTrack[] _tracks = [];
    private MediaPlan? _plan;
    private IVoiceEncoder? _encoder;
    private SrtpSession? _srtp;
    private SdesKey? _key;
    private volatile SocketAddress? _to;
    private volatile SocketAddress? _rtcpTo;
    private Tone _tone;
    private int _frameLength;
    private uint _timestamp = (uint)RandomNumberGenerator.GetInt32(int.MaxValue);      // of the tick to come
    private uint _frameTimestamp;
    private uint _eventTimestamp;
    private ushort _sequence = (ushort)RandomNumberGenerator.GetInt32(0x8000);
    private bool _isMarked = true;      // the next packet begins a talk spurt
    private bool _isDisposed;
    private long _packets;
    private long _bytes;
    private uint _octets;
    private long _notSent;
    private long _late;
    private long _maxLatenessNs;
    private long _skipped;
    private ReportBlock _report;
    private TimeSpan _roundTrip;

    public uint Ssrc { get; private set; } = (uint)RandomNumberGenerator.GetInt32(1, int.MaxValue);

    /// <summary>Sound that is sent after what was written before.</summary>
    public PcmQueue Queue { get; } = new();

    public PhoneStatistics Statistics
    {
        get
        {
            lock (_gate)
            {
                return new PhoneStatistics
                {
                    PacketsSent = _packets,
                    BytesSent = _bytes,
                    NotSent = _notSent,
                    SentLate = _late,
                    MaxLateness = TimeSpan.FromTicks(_maxLatenessNs / 100),
                    Skipped = _skipped,
                    DtmfSent = _keys.Sent,
                    LostThere = _report.Lost,
                    RoundTrip = _roundTrip,
                };
            }
        }
    }

    public void Use(MediaPlan plan)
    {
        lock (_gate)
        {
            if (_isDisposed)
            {
                return;
            }

            if (_plan is null || _encoder is null || plan.Codec != _plan.Codec)
            {
                if (_plan is not null && plan.Codec.Clock() != _plan.Codec.Clock())
                {
                    Ssrc = (uint)RandomNumberGenerator.GetInt32(1, int.MaxValue);       // a stream keeps its clock
                }

                _encoder?.Dispose();
                _encoder = plan.Codec switch
                {
                    PhoneCodec.Opus => new OpusEncoder(48_000, opusComplexity),
                    PhoneCodec.G722 => new G722Encoder(),
                    PhoneCodec.Pcmu => G711.Mu,
                    _ => G711.A,
                };
                _frameLength = 0;
            }

            if (plan.SendKey is null || !plan.SendKey.IsSameKey(_key))
            {
                _srtp?.Dispose();
                (_srtp, _key) = (plan.SendKey is null ? null : SrtpSession.Create(plan.SendKey.Profile, plan.SendKey.KeyAndSalt, isInbound: false), plan.SendKey);
            }

            _plan = plan;
        }
    }

    /// <summary>Where packets go; null: nowhere. Any thread.</summary>
    public void Aim(SocketAddress? to, SocketAddress? rtcpTo) => (_to, _rtcpTo) = (to, rtcpTo);

    public void Play(PhoneTone tone)
    {
        lock (_gate)
        {
            _tone = Tone.Of(tone);
        }
    }

    public Task PressAsync(string digits, CancellationToken ct) => _keys.EnqueueAsync(digits, ct);

    public IAudioSink AddTrack(string sid)
    {
        lock (_gate)
        {
            RemoveTrack(sid);
            var track = new RoomTrack(sid);
            if (_tracks.Length < MaxTracks && !_isDisposed)
            {
                _tracks = [.. _tracks, track];
            }

            return track;       // beyond the limit, and after the call, its frames go nowhere
        }
    }

    public void RemoveTrack(string sid)
    {
        lock (_gate)
        {
            var removed = Array.Find(_tracks, t => t.Sid == sid);
            if (removed is not null)
            {
                _tracks = [.. _tracks.Where(t => t != removed)];
                removed.Dispose();
            }
        }
    }

    /// <summary>One turn of the pacing thread. Allocates nothing.</summary>
    /// <param name="dueNs">When it should have been, by the monotonic clock.</param>
    public void Tick(long dueNs)
    {
        lock (_gate)
        {
            if (_isDisposed || _plan is null || _encoder is null)
            {
                return;
            }

            var clockTicks = (uint)(_plan.Codec.Clock() * PlayoutBuffer.TickMs / 1_000);
            if (_plan.CanSend && _to is not null)
            {
                var mix = _mix.AsSpan(0, _encoder.Rate * PlayoutBuffer.TickMs / 1_000);
                Mix(mix, _plan);
                Send(mix, _plan, dueNs);
            }
            else
            {
                (_frameLength, _isMarked) = (0, true);
                foreach (var track in _tracks)
                {
                    track.Discard();
                }
            }

            _timestamp += clockTicks;
        }
    }

    /// <summary>The machine stood still: time has passed that nothing was sent for.</summary>
    public void Skip(int ticks)
    {
        lock (_gate)
        {
            if (_plan is not null)
            {
                _timestamp += (uint)(ticks * _plan.Codec.Clock() * PlayoutBuffer.TickMs / 1_000);
                _skipped += ticks;
                (_frameLength, _isMarked) = (0, true);
            }
        }
    }

    /// <summary>Sends a report (RFC 3550 section 6.4).</summary>
    /// <param name="block">On the phone's stream; null when there is none.</param>
    [SkipLocalsInit]
    public void Report(ReportBlock? block, ulong ntp, string name)
    {
        Span<byte> buffer = stackalloc byte[256];
        lock (_gate)
        {
            if (_isDisposed || _plan is null || _rtcpTo is not { } to || (_plan.SendKey is not null && _srtp is null))
            {
                return;
            }

            var length = _packets > 0 && _plan.CanSend ? RtcpPacket.WriteSenderReport(buffer, Ssrc, ntp, _timestamp, (uint)_packets, _octets) : 0;
            if (block is { } about || length == 0)
            {
                about = block ?? default;
                length += RtcpPacket.WriteReceiverReport(buffer[length..], Ssrc, block is null ? default : new ReadOnlySpan<ReportBlock>(in about));
            }

            length += RtcpPacket.WriteCanonicalName(buffer[length..], Ssrc, name);
            length = _srtp is null ? length : _srtp.ProtectRtcp(buffer, length);
            if (length > 0)
            {
                TrySend(_plan.HasRtcpMux ? rtp : rtcp, buffer[..length], to);
            }
        }
    }

    /// <summary>What the phone reports of our stream.</summary>
    public void OnReport(in ReportBlock block, ulong ntpNow)
    {
        lock (_gate)
        {
            if (block.Ssrc != Ssrc)
            {
                return;
            }

            _report = block;
            var roundTrip = (int)((uint)(ntpNow >> 16) - block.LastSenderReport - block.Delay);
            if (block.LastSenderReport != 0 && roundTrip >= 0)
            {
                _roundTrip = TimeSpan.FromSeconds(roundTrip / 65_536.0);
            }
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _isDisposed = true;
            foreach (var track in _tracks)
            {
                track.Dispose();
            }

            _tracks = [];
            _encoder?.Dispose();
            _srtp?.Dispose();
            (_encoder, _srtp) = (null, null);
        }

        _keys.Dispose();
    }

    private void Mix(Span<int> mix, MediaPlan plan)
    {
        mix.Clear();
        foreach (var track in _tracks)
        {
            track.Add(mix, _encoder!.Rate, _scratch);
        }

        Queue.Add(mix, _encoder!.Rate);
        if (plan.IsHeldHere)
        {
            mix.Clear();        // who is on hold hears nothing of us, but time goes on
        }

        _tones.Add(_tone, mix, _encoder.Rate);
    }

    private void Send(Span<int> mix, MediaPlan plan, long dueNs)
    {
        var step = _keys.Step();
        if (step.Moment is DtmfMoment.Press or DtmfMoment.End && plan.EventType is { } type)
        {
            SendKey(step, type, plan, dueNs);
            (_frameLength, _isMarked) = (0, true);
            return;
        }

        if (step.Moment != DtmfMoment.None)
        {
            mix.Clear();
            _keyTones.Add(step.Moment == DtmfMoment.Press ? Tone.OfKey(step.Event) : default, mix, _encoder!.Rate);
        }

        _frameTimestamp = _frameLength == 0 ? _timestamp : _frameTimestamp;
        var frame = _frame.AsSpan(_frameLength);
        for (var i = 0; i < mix.Length; i++)
        {
            frame[i] = (short)Math.Clamp(mix[i], short.MinValue, short.MaxValue);
        }

        _frameLength += mix.Length;
        var length = _encoder!.Rate * plan.PacketMs / 1_000;
        while (_frameLength >= length)
        {
            var bytes = _encoder.Encode(_frame.AsSpan(0, length), _packet.AsSpan(RtpPacket.HeaderLength, MaxPacket - RtpPacket.HeaderLength - SrtpSession.MaxTrailer));
            Send(plan.Type, _isMarked, _frameTimestamp, bytes, dueNs);
            _isMarked = false;
            _frameTimestamp += (uint)(plan.Codec.Clock() * plan.PacketMs / 1_000);
            _frameLength -= length;
            _frame.AsSpan(length, _frameLength).CopyTo(_frame);
        }
    }

    private void SendKey(in DtmfStep step, byte type, MediaPlan plan, long dueNs)
    {
        const byte Volume = 10;     // -10 dBm0
        _eventTimestamp = step.IsFirst ? _timestamp : _eventTimestamp;
        var payload = _packet.AsSpan(RtpPacket.HeaderLength);
        payload[0] = step.Event;
        payload[1] = (byte)((step.Moment == DtmfMoment.End ? 0x80 : 0) | Volume);
        BinaryPrimitives.WriteUInt16BigEndian(payload[2..], (ushort)Math.Min(step.Ticks * PlayoutBuffer.TickMs * (plan.EventClock / 1_000), ushort.MaxValue));
        Send(type, step.IsFirst, _eventTimestamp, 4, dueNs);
    }

    private void Send(byte type, bool marker, uint timestamp, int payload, long dueNs)
    {
        _ = RtpPacket.WriteHeader(_packet, type, marker, _sequence, timestamp, Ssrc, 0, 0, 0, default);
        var length = RtpPacket.HeaderLength + payload;
        var size = _srtp is null ? length : _srtp.Protect(_packet, length);
        if (payload <= 0 || size == 0 || (_key is not null && _srtp is null))
        {
            _notSent++;
            return;
        }

        _sequence++;
        var lateness = System.Diagnostics.Stopwatch.GetTimestamp() - dueNs;
        _late += lateness > LateNs ? 1 : 0;
        _maxLatenessNs = Math.Max(_maxLatenessNs, lateness);
        if (TrySend(rtp, _packet.AsSpan(0, size), _to!))
        {
            _packets++;
            _bytes += length;
            _octets += (uint)payload;
        }
        else
        {
            _notSent++;
        }
    }

    private static bool TrySend(UdpSender sender, ReadOnlySpan<byte> packet, SocketAddress to)
    {
        try
        {
            return sender.TrySend(packet, to);
        }
        catch (ObjectDisposedException)
        {
            return false;       // the call has ended meanwhile
        }
    }
}
