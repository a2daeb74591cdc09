using System.Runtime.InteropServices;

namespace VoicePlatform.MediaServer.Sip.Media.Playout;

/// <summary>A packet in the store.</summary>
/// <param name="Slot">Where it lies.</param>
/// <param name="Kind">What the payload is, as the stream's owner numbers it.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct StoredPacket(int Slot, byte Kind, ushort Sequence, uint Timestamp, int Length);

/// <summary>
/// Packets that wait for their time, in whatever order they came. One thread puts in, another takes out; the lock is held for a copy of
/// one packet. Bounded: when all slots are taken the oldest packet gives way.
/// </summary>
internal sealed class PacketStore
{
    public const int MaxPayload = 1_500;

    private const int Slots = 64;           // 1.3 s of 20 ms packets
    private const int LateRun = 10;         // so many late ones in a row are a sender that jumped back

    private readonly Lock _gate = new();
    private readonly byte[]?[] _payloads = new byte[Slots][];       // a slot's memory comes with its first packet and stays
    private readonly StoredPacket[] _packets = new StoredPacket[Slots];
    private readonly bool[] _isTaken = new bool[Slots];
    private int _count;
    private int _lateRun;
    private uint _next;
    private uint _newest;
    private bool _isPlaying;
    private int _ahead;             // ticks of sound that the reader had left when it last took some
    private long _takenAtNs;
    private int _slack = int.MaxValue;

    /// <summary>Came after their time, were there already, or had no room.</summary>
    public long Late { get; private set; }

    public long Restarts { get; private set; }

    /// <summary>Keeps a copy of the packet; false when it is late, there already or too long.</summary>
    /// <param name="clock">Ticks a second of the timestamp.</param>
    /// <param name="nowNs">Monotonic time.</param>
    public bool Insert(byte kind, ushort sequence, uint timestamp, ReadOnlySpan<byte> payload, int clock, long nowNs)
    {
        if (payload.Length > MaxPayload)
        {
            return false;
        }

        lock (_gate)
        {
            var early = (int)(timestamp - _next);
            if (_isPlaying && early > -clock && early < clock)
            {
                _slack = Math.Min(_slack, early + _ahead - (int)((nowNs - _takenAtNs) * clock / 1_000_000_000));
            }

            if (_isPlaying && early < 0)
            {
                Late++;
                if (early >= -clock && ++_lateRun < LateRun)
                {
                    return false;
                }

                Restarts++;
                Clear();
            }

            _lateRun = 0;
            var slot = FreeSlot(sequence, timestamp);
            if (slot < 0)
            {
                Late++;
                return false;
            }

            var memory = _payloads[slot] ??= GC.AllocateUninitializedArray<byte>(MaxPayload);
            payload.CopyTo(memory);
            _newest = _count == 0 || (int)(timestamp - _newest) > 0 ? timestamp : _newest;
            _packets[slot] = new StoredPacket(slot, kind, sequence, timestamp, payload.Length);
            _isTaken[slot] = true;
            _count++;
            return true;
        }
    }

    /// <summary>The reader has taken its 20 ms.</summary>
    /// <param name="ahead">Ticks of sound before the next packet's that it has left; less than 0 when it made some up.</param>
    public void Taken(int ahead, long nowNs)
    {
        lock (_gate)
        {
            (_ahead, _takenAtNs) = (ahead, nowNs);
        }
    }

    /// <summary>Where the reader is: what is older comes too late.</summary>
    public void Advance(uint next)
    {
        lock (_gate)
        {
            (_next, _isPlaying) = (next, true);
        }
    }

    /// <summary>The reader waits: whatever comes next begins anew.</summary>
    public void Pause()
    {
        lock (_gate)
        {
            _isPlaying = false;
        }
    }

    /// <summary>The earliest packet, copied; it stays until it is removed.</summary>
    public bool TryPeek(Span<byte> payload, out StoredPacket packet)
    {
        lock (_gate)
        {
            var earliest = Earliest();
            packet = earliest < 0 ? default : _packets[earliest];
            if (earliest >= 0)
            {
                _payloads[earliest].AsSpan(0, packet.Length).CopyTo(payload);
            }

            return earliest >= 0;
        }
    }

    public void Remove(in StoredPacket packet)
    {
        lock (_gate)
        {
            if (_isTaken[packet.Slot] && _packets[packet.Slot] == packet)
            {
                _isTaken[packet.Slot] = false;
                _count--;
            }
        }
    }

    /// <summary>From the earliest packet, or the reader, to the beginning of the newest packet; -1 when there is none.</summary>
    public int Span()
    {
        lock (_gate)
        {
            var earliest = _count == 0 ? -1 : Earliest();
            return earliest < 0 ? -1 : Math.Max(0, (int)(_newest - (_isPlaying ? _next : _packets[earliest].Timestamp)));
        }
    }

    /// <summary>How long before its time, at the least, a packet came since the last call, in ticks; <see cref="int.MaxValue"/>: none came.</summary>
    public int TakeSlack()
    {
        lock (_gate)
        {
            (var slack, _slack) = (_slack, int.MaxValue);
            return slack;
        }
    }

    /// <summary>A new stream begins: what is left of the old one is forgotten.</summary>
    public void Restart()
    {
        lock (_gate)
        {
            Restarts++;
            Clear();
        }
    }

    public void Discard()
    {
        lock (_gate)
        {
            Clear();
        }
    }

    private void Clear()
    {
        Array.Clear(_isTaken);
        (_count, _isPlaying, _lateRun, _slack) = (0, false, 0, int.MaxValue);
    }

    private int Earliest()
    {
        var earliest = -1;
        for (var i = 0; i < Slots; i++)
        {
            if (_isTaken[i] && (earliest < 0 || (int)(_packets[i].Timestamp - _packets[earliest].Timestamp) < 0))
            {
                earliest = i;
            }
        }

        return earliest;
    }

    private int FreeSlot(ushort sequence, uint timestamp)
    {
        var free = -1;
        for (var i = 0; i < Slots; i++)
        {
            if (!_isTaken[i])
            {
                free = free < 0 ? i : free;
            }
            else if (_packets[i].Sequence == sequence && _packets[i].Timestamp == timestamp)
            {
                return -1;
            }
        }

        if (free >= 0)
        {
            return free;
        }

        Late++;
        _count--;
        return Earliest();
    }
}
