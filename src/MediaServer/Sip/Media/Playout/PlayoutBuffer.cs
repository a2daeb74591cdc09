using VoicePlatform.MediaServer.Sip.Media.Codecs;

namespace VoicePlatform.MediaServer.Sip.Media.Playout;

/// <summary>How the kinds of packets in one stream are decoded.</summary>
internal interface IDecoders
{
    /// <summary>Ticks a second of the RTP timestamps.</summary>
    int ClockOf(byte kind);

    /// <summary>Made at its first use, then always the same.</summary>
    IVoiceDecoder Of(byte kind);
}

/// <summary>
/// Turns packets that come when they like into 20 ms of sound whenever they are asked for. The delay adapts between 20 and 200 ms: it
/// grows where packets come too late, and shrinks where for 8 s more was waiting than needed, both by stretching time, never by a gap.
/// A clock that drifts at the other end is the same thing to it. What is missing is concealed for 100 ms, then there is silence.
/// </summary>
/// <remarks><see cref="Insert"/> is for one thread, the rest for another.</remarks>
internal sealed class PlayoutBuffer(IDecoders decoders)
{
    public const int TickMs = 20;

    /// <summary>The most samples a tick can have (48 kHz).</summary>
    public const int MaxTick = 48 * TickMs;

    /// <summary>Comfort noise (RFC 3389), whose payload begins with its level in -dBov.</summary>
    public const byte Noise = 255;

    private const int PastMs = 40;              // kept to conceal with
    private const int MaxSpareMs = 200;
    private const int HighSpareMs = 80;
    private const int FlushMs = 600;
    private const int MaxGapMs = 500;
    private const int Capacity = 48 * (PastMs + IVoiceDecoder.MaxMilliseconds + 160);

    private readonly PacketStore _store = new();
    private readonly DelayWindow _window = new();
    private readonly byte[] _payload = new byte[PacketStore.MaxPayload];
    private readonly short[] _pcm = new short[Capacity];        // past and waiting sound
    private readonly Concealment _concealment = new();
    private IVoiceDecoder? _decoder;
    private byte _kind;
    private int _clock = 8_000;
    private int _rate = 8_000;
    private int _start;             // of what waits, in _pcm
    private int _end;
    private bool _isPlaying;
    private int _waited;
    private uint _next;             // timestamp after what was decoded
    private ushort _lastSequence;
    private int _packetTicks;
    private int _debt;              // ticks concealed for packets that may only be late
    private int _concealed;         // samples made up since the last real one
    private int _rest;              // ticks until time may be stretched again
    private double _noise;
    private uint _random = 1;
    private long _concealedMs;
    private int _bufferedMs;

    /// <summary>Samples a second of what comes out; changes with the codec.</summary>
    public int Rate => _rate;

    public TimeSpan Concealed => TimeSpan.FromMilliseconds(Volatile.Read(ref _concealedMs));

    public TimeSpan Buffered => TimeSpan.FromMilliseconds(Volatile.Read(ref _bufferedMs));

    public long Late => _store.Late;

    public long Restarts => _store.Restarts;

    /// <summary>No concealment for now: the other side sends something else instead of sound.</summary>
    public bool IsInterrupted { get; set; }

    /// <summary>Takes one packet; what does not fit any more is dropped. Any one thread.</summary>
    /// <param name="kind">What the decoders call it, or <see cref="Noise"/>.</param>
    /// <param name="nowNs">Monotonic time, of the same clock that <see cref="Pull"/> is given.</param>
    public void Insert(byte kind, ushort sequence, uint timestamp, ReadOnlySpan<byte> payload, long nowNs) =>
        _store.Insert(kind, sequence, timestamp, payload, decoders.ClockOf(kind), nowNs);

    /// <summary>The sender began a new stream. On the thread that inserts.</summary>
    public void Restart() => _store.Restart();

    /// <summary>Forgets what waits; what comes next begins anew. On the thread that pulls.</summary>
    public void Discard()
    {
        _store.Discard();
        (_start, _end, _noise) = (0, 0, 0);
        Pause();
    }

    /// <summary>The next 20 ms; returns how many samples that is. False in <paramref name="isSound"/>: nothing comes at present.</summary>
    /// <param name="pcm">Room for <see cref="MaxTick"/>.</param>
    /// <param name="nowNs">Monotonic time.</param>
    /// <param name="isSound">Whether it is more than silence made here.</param>
    public int Pull(Span<short> pcm, long nowNs, out bool isSound)
    {
        if (!_isPlaying && !TryBegin())
        {
            isSound = _end > _start || _noise > 0;
            return Drain(pcm);
        }

        isSound = true;
        var spare = Spare();
        _window.Tick();
        if (_store.TakeSlack() is var slack and not int.MaxValue)
        {
            _window.Observe(Samples(slack));
        }

        Volatile.Write(ref _bufferedMs, (spare * 1_000 / _rate) + TickMs);
        Flush(spare);
        var change = Change(spare, out var isUrgent);
        var tick = _rate * TickMs / 1_000;
        while (_isPlaying && Waiting < tick && TakeNext(mustGive: true))
        {
            tick = _rate * TickMs / 1_000;
        }

        while (change < 0 && Waiting < Math.Max(tick, TimeStretch.Reach(_rate)) + tick && TakeNext(mustGive: false))
        {
            // Leaving out a period needs to see some of what follows.
        }

        Stretch(change, tick, isUrgent);
        var samples = Drain(pcm);
        _store.Taken(Ticks(Waiting) - _debt, nowNs);
        return samples;
    }

    private int Waiting => _end - _start;

    private int Samples(int ticks) => (int)((long)ticks * _rate / _clock);

    private int Ticks(int samples) => (int)((long)samples * _clock / _rate);

    /// <summary>Samples that are here beyond the 20 ms that are due.</summary>
    private int Spare()
    {
        var span = _store.Span();
        return Waiting + (span < 0 ? 0 : Samples(Math.Min(span + _packetTicks, 10 * _clock))) - (_rate * TickMs / 1_000);
    }

    /// <summary>A stream begins when 40 ms are there, or one tick after its first packet: its first word is worth a little delay.</summary>
    private bool TryBegin()
    {
        if (!_store.TryPeek(_payload, out var packet))
        {
            _waited = 0;
            return false;
        }

        if (packet.Kind == Noise)
        {
            _store.Remove(packet);
            BeginNoise(packet.Length);
            return false;
        }

        Use(packet.Kind);
        if (_waited++ < 1 && Samples(_store.Span()) < _rate * TickMs / 1_000)
        {
            return false;
        }

        (_isPlaying, _waited, _next, _debt, _noise) = (true, 0, packet.Timestamp, 0, 0);
        _lastSequence = (ushort)(packet.Sequence - 1);
        _window.Reset();
        _store.Advance(_next);
        return true;
    }

    private void Use(byte kind)
    {
        if (_decoder is not null && kind == _kind)
        {
            return;
        }

        (_decoder, _kind, _clock) = (decoders.Of(kind), kind, decoders.ClockOf(kind));
        if (_decoder.Rate != _rate)
        {
            (_start, _end) = (0, 0);        // the past cannot be gone on with at another rate
        }

        (_rate, _packetTicks, _concealed) = (_decoder.Rate, _clock * TickMs / 1_000, 0);
        _concealment.End();
        _window.Reset();
    }

    /// <summary>Appends what is next; false when there is nothing and nothing had to be given.</summary>
    private bool TakeNext(bool mustGive)
    {
        if (!_store.TryPeek(_payload, out var packet))
        {
            return mustGive && Bridge();
        }

        if (packet.Kind != _kind && packet.Kind != Noise)
        {
            Use(packet.Kind);
            _next = packet.Timestamp;
        }

        var gap = (int)(packet.Timestamp - _next);
        var paid = Math.Clamp(gap, 0, _debt);
        (_next, _debt, gap) = (_next + (uint)paid, _debt - paid, gap - paid);
        if (gap > _clock * MaxGapMs / 1_000)
        {
            (_next, gap) = (packet.Timestamp, 0);       // a jump in time; waiting it out would be a hole as long
        }

        if (gap > 0)
        {
            return mustGive && Fill(gap, packet);
        }

        _store.Remove(packet);
        if (packet.Kind == Noise)
        {
            BeginNoise(packet.Length);
            Pause();
            return true;
        }

        if (gap < 0)
        {
            _store.Advance(_next);
            return true;        // overlaps with what was played
        }

        Append(packet);
        return true;
    }

    private void Append(in StoredPacket packet)
    {
        MakeRoom();
        var room = _pcm.AsSpan(_end, _rate * IVoiceDecoder.MaxMilliseconds / 1_000);
        var samples = _decoder!.Decode(_payload.AsSpan(0, packet.Length), room);
        _lastSequence = packet.Sequence;
        if (samples <= 0)
        {
            Conceal(_rate * TickMs / 1_000, default);
            _next += (uint)_packetTicks;
            _store.Advance(_next);
            return;
        }

        if (_debt > 0)
        {
            // It came late, and everything after it is now played so much later.
            _window.Shift(Samples(_debt));
            _debt = 0;
        }

        if (_concealment.IsActive)
        {
            _concealment.Join(room[..samples], _rate);
        }

        _concealed = 0;
        _end += samples;
        _packetTicks = Ticks(samples);
        _next += (uint)_packetTicks;
        _store.Advance(_next);
    }

    /// <summary>Nothing is there: it may be late, so time stands still for the stream while sound is made up; not for long.</summary>
    private bool Bridge()
    {
        if (_debt >= _clock * Concealment.MaxMs / 1_000)
        {
            Pause();
            return false;
        }

        Conceal(_rate * TickMs / 1_000, default);
        _debt += _clock * TickMs / 1_000;
        return true;
    }

    /// <summary>Something is missing before a packet that is there: silence that was not sent, or loss.</summary>
    private bool Fill(int gap, in StoredPacket next)
    {
        var ticks = Math.Min(gap, _clock * TickMs / 1_000);
        var samples = Samples(ticks);
        if (next.Sequence == (ushort)(_lastSequence + 1))
        {
            MakeRoom();
            _pcm.AsSpan(_end, samples).Clear();
            _end += samples;
        }
        else
        {
            Conceal(samples, gap == ticks ? _payload.AsSpan(0, next.Length) : default);
        }

        _next += (uint)ticks;
        _store.Advance(_next);
        return true;
    }

    private void Pause()
    {
        (_isPlaying, _debt, _concealed) = (false, 0, 0);
        _concealment.End();
        _store.Pause();
    }

    private void BeginNoise(int length) =>
        _noise = length == 0 ? 0 : short.MaxValue * Math.Sqrt(3) * Math.Pow(10, -Math.Min((int)_payload[0], 127) / 20.0);

    private void Conceal(int samples, ReadOnlySpan<byte> next)
    {
        MakeRoom();
        var room = _pcm.AsSpan(_end, samples);
        if (IsInterrupted)
        {
            _concealment.End();
            room.Clear();
        }
        else if (_decoder!.TryConceal(next, room))
        {
            _concealment.End();
        }
        else
        {
            if (!_concealment.IsActive)
            {
                _concealment.Begin(_pcm.AsSpan(0, _end), _rate);
            }

            _concealment.Continue(room, _rate);
        }

        _concealed += samples;
        _end += samples;
        Volatile.Write(ref _concealedMs, _concealedMs + (samples * 1_000 / _rate));
    }

    private void Flush(int spare)
    {
        if (spare < _rate * FlushMs / 1_000)
        {
            return;
        }

        // So much came at once that hastening would take seconds: the oldest goes.
        var target = _rate * MaxSpareMs / 1_000;
        while (Spare() > target && _store.TryPeek(_payload, out var packet))
        {
            _store.Remove(packet);
            _next = packet.Timestamp + (uint)_packetTicks;
            _store.Advance(_next);
            _lastSequence = packet.Sequence;
        }

        _window.Reset();
    }

    /// <summary>Less than 0: play sooner; more: later.</summary>
    private int Change(int spare, out bool isUrgent)
    {
        var ms = _rate / 1_000;
        var lately = _window.LowestOfLate;
        isUrgent = spare > (MaxSpareMs + 100) * ms || (lately != int.MaxValue && lately > HighSpareMs * ms);
        if (isUrgent)
        {
            return -1;
        }

        if (_rest > 0)
        {
            _rest--;
            return 0;
        }

        var lowest = _window.Lowest;
        return lowest != int.MaxValue && lowest > TickMs * ms ? -1
            : _window.LowestSoFar < 2 * ms && spare < MaxSpareMs * ms ? 1
            : 0;
    }

    private void Stretch(int change, int tick, bool isUrgent)
    {
        if (change == 0 || !_isPlaying || _concealed > 0)
        {
            return;
        }

        var changed = 0;
        if (change < 0 && Waiting >= Math.Max(tick, TimeStretch.Reach(_rate)) + (_rate / 80))
        {
            changed = -TimeStretch.Shorten(_pcm.AsSpan(_start, Waiting), _rate, mustAct: isUrgent);
        }
        else if (change > 0 && Waiting >= TimeStretch.Reach(_rate))
        {
            MakeRoom();
            changed = TimeStretch.Lengthen(_pcm.AsSpan(_start), Waiting, _rate, mustAct: false);
        }

        _end += changed;
        _rest = changed == 0 ? 0 : 2;
        _window.Shift(changed);
    }

    private int Drain(Span<short> pcm)
    {
        var tick = _rate * TickMs / 1_000;
        var ready = Math.Min(tick, Waiting);
        _pcm.AsSpan(_start, ready).CopyTo(pcm);
        _start += ready;
        for (var i = ready; i < tick; i++)
        {
            _random = (_random * 1_664_525) + 1_013_904_223;
            pcm[i] = (short)(_noise * ((int)_random / 2_147_483_648.0));
        }

        return tick;
    }

    /// <summary>Moves sound to the front when the next packet might not fit behind it; some past is kept.</summary>
    private void MakeRoom()
    {
        var needed = _rate * (IVoiceDecoder.MaxMilliseconds + TickMs) / 1_000;
        if (_end + needed <= _pcm.Length)
        {
            return;
        }

        var from = Math.Max(0, _start - (_rate * PastMs / 1_000));
        _pcm.AsSpan(from, _end - from).CopyTo(_pcm);
        (_start, _end) = (_start - from, _end - from);
    }
}
