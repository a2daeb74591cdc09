using System.Runtime.InteropServices;

namespace VoicePlatform.MediaServer.Transport.Rtp;

/// <summary>
/// Keeps the sequence numbers and timestamps of one outgoing stream continuous while what feeds it pauses, restarts or changes.
/// </summary>
/// <remarks>
/// Between anchors the stream is its source shifted by constants, so loss and reordering stay visible to the receiver. At an anchor
/// the sequence goes on by one and the timestamp by the time that passed.
/// </remarks>
[StructLayout(LayoutKind.Auto)]
internal struct StreamRewriter(ushort firstSequence, uint firstTimestamp)
{
    private const int SamplesPerMs = 48;
    private const int FrameSamples = 960;
    private const int KeepBehind = 0x2000;

    private bool _isStarted;
    private bool _isAnchored;
    private int _epoch;
    private ushort _sequenceShift;
    private uint _timestampShift;
    private ushort _anchor;
    private ushort _highest = firstSequence;
    private uint _highestTimestamp = firstTimestamp;
    private long _lastMs;

    /// <summary>Timestamp of the newest packet sent, extended to now: what a sender report says.</summary>
    public readonly uint TimestampAt(long nowMs) => _highestTimestamp + (uint)((nowMs - _lastMs) * SamplesPerMs);

    /// <summary>Something was left out on purpose: the next packet follows on without a gap.</summary>
    public void Skip() => _isAnchored = false;

    /// <param name="epoch">Changes when the source starts anew (another SSRC, unmuted).</param>
    /// <param name="sequence">In: of the source. Out: of the stream.</param>
    /// <param name="timestamp">In: of the source. Out: of the stream.</param>
    /// <param name="nowMs">Monotonic time.</param>
    /// <param name="isFirst">The packet is the first after an anchor.</param>
    /// <returns>False for a straggler from before the anchor, which must not be sent.</returns>
    public bool TryRewrite(int epoch, ref ushort sequence, ref uint timestamp, long nowMs, out bool isFirst)
    {
        isFirst = !_isAnchored || epoch != _epoch;
        if (isFirst)
        {
            if (_isStarted)
            {
                _highest++;
                _highestTimestamp += (uint)Math.Max(FrameSamples, (nowMs - _lastMs) * SamplesPerMs);
            }

            (_isStarted, _isAnchored, _epoch, _anchor, _lastMs) = (true, true, epoch, _highest, nowMs);
            (_sequenceShift, _timestampShift) = ((ushort)(_highest - sequence), _highestTimestamp - timestamp);
            (sequence, timestamp) = (_highest, _highestTimestamp);
            return true;
        }

        sequence += _sequenceShift;
        timestamp += _timestampShift;
        if ((short)(sequence - _anchor) < 0)
        {
            return false;
        }

        if ((short)(sequence - _highest) > 0)
        {
            (_highest, _highestTimestamp, _lastMs) = (sequence, timestamp, nowMs);

            // Sequence numbers wrap: the anchor follows at a distance, or everything would be "before" it some day.
            if ((ushort)(_highest - _anchor) > 2 * KeepBehind)
            {
                _anchor = (ushort)(_highest - KeepBehind);
            }
        }

        return true;
    }
}
