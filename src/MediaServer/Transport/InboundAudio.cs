using VoicePlatform.MediaServer.Transport.Rtp;

namespace VoicePlatform.MediaServer.Transport;

/// <summary>
/// A published audio track as it arrives at the server. Lives as long as its section is published, over all renegotiations; every
/// packet goes to all subscriptions and sinks on the thread that received it.
/// </summary>
internal sealed class InboundAudio
{
    private const int LevelWindowMs = 500;
    private const byte Silence = 127;

    private readonly MediaClock _clock;
    private readonly Lock _listeners = new();       // guards the two lists below, which are replaced, never changed
    private volatile Subscription[] _subscriptions = [];
    private volatile SinkFeed[] _sinks = [];
    private volatile AudioFormat _format;
    private ReceptionStatistics _reception = new();
    private uint _ssrc;
    private int _epoch;
    private bool _isSilenced;
    private long _packets;
    private long _bytes;
    private long _lostBefore;
    private long _levelWindowStartMs;
    private byte _loudestNow = Silence;
    private byte _loudestBefore = Silence;
    private int _loudestUnread = Silence;

    internal InboundAudio(string mid, AudioFormat format, MediaClock clock)
    {
        (Mid, _format, _clock) = (mid, format, clock);
    }

    public string Mid { get; }

    /// <summary><c>audio/red</c> or <c>audio/opus</c>, as negotiated.</summary>
    public string Mime => _format.Red is null ? "audio/opus" : "audio/red";

    /// <summary>Muted by the server: packets are dropped, subscribers see a pause without loss.</summary>
    public bool Muted { get; set; }

    /// <summary>False while the participant may not publish: packets are dropped as when muted.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>Loudest level of the last window of 500 ms in -dBov: 0 is full scale, 127 silence.</summary>
    public byte AudioLevel
    {
        get
        {
            var age = _clock.NowMs - Volatile.Read(ref _levelWindowStartMs);
            return age > 3 * LevelWindowMs ? Silence : Math.Min(_loudestBefore, _loudestNow);
        }
    }

    public long PacketsReceived => Volatile.Read(ref _packets);

    /// <summary>Whole RTP packets, headers included.</summary>
    public long BytesReceived => Volatile.Read(ref _bytes);

    public long PacketsLost => _lostBefore + _reception.Lost;

    /// <summary>In units of the 48 kHz clock.</summary>
    internal uint Jitter => _reception.Jitter;

    internal uint Ssrc => Volatile.Read(ref _ssrc);

    internal ReceptionStatistics Reception => _reception;

    internal AudioFormat Format
    {
        get => _format;
        set => _format = value;
    }

    /// <summary>The loudest level since the last call, linear from 0 to 1. Meant for one reader, the room's speaker detection.</summary>
    public double ReadLevel()
    {
        var level = Interlocked.Exchange(ref _loudestUnread, Silence);
        return level >= Silence ? 0 : Math.Pow(10, -level / 20.0);
    }

    /// <summary>
    /// Gives the sink every Opus frame from now on, RED unpacked, frames lost on the way recovered from it where possible. Dispose the
    /// result to stop.
    /// </summary>
    public IDisposable AddSink(IAudioSink sink)
    {
        var feed = new SinkFeed(this, sink);
        lock (_listeners)
        {
            _sinks = [.. _sinks, feed];
        }

        return feed;
    }

    internal void Add(Subscription subscription)
    {
        lock (_listeners)
        {
            _subscriptions = [.. _subscriptions, subscription];
        }
    }

    internal void Remove(Subscription subscription)
    {
        lock (_listeners)
        {
            _subscriptions = [.. _subscriptions.Where(s => s != subscription)];
        }
    }

    /// <summary>Takes one authenticated packet. Allocates nothing.</summary>
    internal void Receive(in RtpPacket packet)
    {
        var format = _format;
        var isRed = packet.PayloadType == format.Red;
        if (!isRed && packet.PayloadType != format.Opus)
        {
            return;     // telephone events, comfort noise
        }

        var nowMs = _clock.NowMs;
        Count(packet, nowMs);
        Span<RedBlock> found = stackalloc RedBlock[RedPayload.MaxBlocks];
        var blocks = found[..(isRed ? RedPayload.Read(packet.Payload, found) : 0)];
        if (packet.Payload.IsEmpty || (isRed && blocks.IsEmpty))
        {
            return;     // padding only, or malformed
        }

        if (Muted || !Enabled)
        {
            _isSilenced = true;
            return;
        }

        if (_isSilenced)
        {
            _isSilenced = false;
            _epoch++;
        }

        var level = LevelOf(packet, format, nowMs);
        foreach (var subscription in _subscriptions)
        {
            subscription.Forward(packet, blocks, _epoch, level, nowMs);
        }

        foreach (var sink in _sinks)
        {
            sink.Take(packet, blocks, _epoch);
        }
    }

    private void Count(in RtpPacket packet, long nowMs)
    {
        if (packet.Ssrc != _ssrc)
        {
            if (_packets > 0)
            {
                // A new sender in the same section (the client replaced its connection's encoder): numbers start anew.
                _lostBefore += _reception.Lost;
                _reception = new ReceptionStatistics();
                _epoch++;
            }

            Volatile.Write(ref _ssrc, packet.Ssrc);
        }

        _reception.OnPacket(packet.Sequence, packet.Timestamp, nowMs);
        Volatile.Write(ref _packets, _packets + 1);
        Volatile.Write(ref _bytes, _bytes + packet.Length);
    }

    private byte LevelOf(in RtpPacket packet, AudioFormat format, long nowMs)
    {
        var extension = packet.Extension(format.LevelId);
        var raw = extension.IsEmpty ? Silence : extension[0];
        var level = (byte)(raw & 0x7F);     // the upper bit is the sender's voice activity flag
        if (nowMs - _levelWindowStartMs >= LevelWindowMs)
        {
            (_loudestBefore, _loudestNow) = (_loudestNow, Silence);
            Volatile.Write(ref _levelWindowStartMs, nowMs);
        }

        _loudestNow = Math.Min(_loudestNow, level);
        if (level < Volatile.Read(ref _loudestUnread))
        {
            Interlocked.Exchange(ref _loudestUnread, level);
        }

        return raw;
    }

    /// <summary>Puts frames in order for one sink.</summary>
    private sealed class SinkFeed(InboundAudio owner, IAudioSink sink) : IDisposable
    {
        private bool _isStarted;
        private int _epoch;
        private ushort _last;

        public void Take(in RtpPacket packet, ReadOnlySpan<RedBlock> blocks, int epoch)
        {
            if (!_isStarted || epoch != _epoch)
            {
                (_isStarted, _epoch, _last) = (true, epoch, (ushort)(packet.Sequence - 1));
            }

            var ahead = (short)(packet.Sequence - _last);
            if (ahead <= 0)
            {
                return;     // late or twice; what it carries was recovered or is past
            }

            if (blocks.IsEmpty)
            {
                sink.OnFrame(packet.Sequence, packet.Timestamp, packet.Payload);
            }
            else
            {
                Unpack(packet, blocks, ahead);
            }

            _last = packet.Sequence;
        }

        public void Dispose()
        {
            lock (owner._listeners)
            {
                owner._sinks = [.. owner._sinks.Where(feed => feed != this)];
            }
        }

        private void Unpack(in RtpPacket packet, ReadOnlySpan<RedBlock> blocks, int ahead)
        {
            // Block i of n carries what packet (sequence - (n - 1 - i)) had as its primary.
            var first = Math.Max(0, blocks.Length - ahead);
            for (var i = first; i < blocks.Length; i++)
            {
                var block = blocks[i];
                if (block.Length > 0)
                {
                    var age = blocks.Length - 1 - i;
                    sink.OnFrame((ushort)(packet.Sequence - age), packet.Timestamp - (uint)block.TimestampOffset, packet.Payload.Slice(block.Start, block.Length));
                }
            }
        }
    }
}
