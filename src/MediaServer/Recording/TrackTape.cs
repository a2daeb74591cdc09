using System.Runtime.InteropServices;
using VoicePlatform.MediaServer.Transport;

namespace VoicePlatform.MediaServer.Recording;

/// <summary>
/// The frames of one track on their way to the recorder: copied on the receive thread, taken by the recorder a moment later. A
/// recorder that is too slow loses frames, counted; it never holds up the media.
/// </summary>
/// <remarks>One thread puts in, one takes out; neither waits for the other.</remarks>
internal sealed class TrackTape(TimeProvider clock) : IAudioSink
{
    private const int MaxFrame = 1_275;
    private const int Slots = 128;      // 2.5 s of 20 ms frames; the recorder comes by every 0.2 s

    private readonly byte[] _data = new byte[Slots * MaxFrame];
    private readonly Frame[] _frames = new Frame[Slots];
    private long _written;
    private long _read;
    private long _dropped;

    public long Dropped => Interlocked.Read(ref _dropped);

    public void OnFrame(ushort sequence, uint timestamp, ReadOnlySpan<byte> opus)
    {
        var written = _written;
        if (written - Volatile.Read(ref _read) >= Slots || opus.Length > MaxFrame)
        {
            Interlocked.Increment(ref _dropped);
            return;
        }

        var slot = (int)(written % Slots);
        opus.CopyTo(_data.AsSpan(slot * MaxFrame));
        _frames[slot] = new Frame(timestamp, clock.GetTimestamp(), opus.Length);
        Volatile.Write(ref _written, written + 1);
    }

    /// <summary>The next frame; false when there is none now. Valid until <see cref="Pass"/>.</summary>
    public bool TryPeek(out Frame frame, out ReadOnlySpan<byte> opus)
    {
        if (_read == Volatile.Read(ref _written))
        {
            frame = default;
            opus = default;
            return false;
        }

        var slot = (int)(_read % Slots);
        frame = _frames[slot];
        opus = _data.AsSpan(slot * MaxFrame, frame.Length);
        return true;
    }

    public void Pass() => Volatile.Write(ref _read, _read + 1);

    /// <param name="Timestamp">RTP, 48 kHz.</param>
    /// <param name="ArrivedAt">By the monotonic clock.</param>
    /// <param name="Length">Bytes.</param>
    [StructLayout(LayoutKind.Auto)]
    internal readonly record struct Frame(uint Timestamp, long ArrivedAt, int Length);
}
