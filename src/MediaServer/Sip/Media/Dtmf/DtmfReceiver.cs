using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace VoicePlatform.MediaServer.Sip.Media.Dtmf;

/// <summary>A key that was pressed and let go.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct DtmfPress(char Digit, int DurationMs);

/// <summary>
/// Reads telephone events (RFC 4733): many packets make one press, some of them lost, repeated or out of order. A press is told once, at
/// its first end packet; where all three are lost, at the next press or 200 ms after the last packet.
/// </summary>
internal sealed class DtmfReceiver
{
    public const int MaxPresses = 2;
    public const string Digits = "0123456789*#ABCD";

    private const int ExpiryMs = 200;
    private bool _isOpen;
    private bool _hasAny;
    private byte _event;
    private uint _timestamp;        // of the current press, or of the last
    private int _duration;
    private int _clock;
    private long _lastMs;

    public bool IsOpen => _isOpen;

    /// <summary>Takes one packet; returns how many presses ended with it.</summary>
    /// <param name="payload">Of the RTP packet; what is malformed or no key is ignored.</param>
    /// <param name="timestamp">Of the RTP packet: the press's beginning.</param>
    /// <param name="marker">Of the RTP packet: the press's first.</param>
    /// <param name="clock">Ticks a second.</param>
    /// <param name="nowMs">Monotonic time.</param>
    /// <param name="presses">Room for <see cref="MaxPresses"/>.</param>
    public int Take(ReadOnlySpan<byte> payload, uint timestamp, bool marker, int clock, long nowMs, Span<DtmfPress> presses)
    {
        if (payload.Length < 4 || payload[0] >= Digits.Length)
        {
            return 0;
        }

        var isEnd = (payload[1] & 0x80) != 0;
        var duration = BinaryPrimitives.ReadUInt16BigEndian(payload[2..]);
        var found = 0;
        if (!IsSame(payload[0], timestamp, marker, isEnd, clock))
        {
            if (_hasAny && (int)(timestamp - _timestamp) < 0 && (int)(_timestamp - timestamp) < clock)
            {
                return 0;       // a straggler of the press before; more than a second back is a sender that began anew
            }

            found += Close(presses);
            (_isOpen, _hasAny, _event, _timestamp, _duration, _clock) = (true, true, payload[0], timestamp, 0, clock);
        }

        _lastMs = nowMs;
        _duration = Math.Max(_duration, duration);
        return isEnd ? found + Close(presses[found..]) : found;
    }

    /// <summary>Ends a press whose end was lost.</summary>
    public int Expire(long nowMs, Span<DtmfPress> presses) => _isOpen && nowMs - _lastMs >= ExpiryMs ? Close(presses) : 0;

    /// <summary>A new stream: its timestamps have nothing to do with those before.</summary>
    public int Restart(Span<DtmfPress> presses)
    {
        _hasAny = false;
        return Close(presses);
    }

    /// <summary>By the standard a press keeps its timestamp; some senders count it up, which then looks like a new press without a marker.</summary>
    private bool IsSame(byte code, uint timestamp, bool marker, bool isEnd, int clock)
    {
        if (!_hasAny || code != _event)
        {
            return false;
        }

        var later = (int)(timestamp - _timestamp);
        return later == 0 || (!marker && later > 0 && (_isOpen ? later <= clock : isEnd && later <= _duration + (clock / 10)));
    }

    private int Close(Span<DtmfPress> presses)
    {
        if (!_isOpen)
        {
            return 0;
        }

        _isOpen = false;
        presses[0] = new DtmfPress(Digits[_event], (int)(_duration * 1_000L / _clock));
        return 1;
    }
}
