using System.Diagnostics;
using VoicePlatform.MediaServer.Sip.Media.Codecs;
using VoicePlatform.MediaServer.Sip.Media.Playout;
using VoicePlatform.MediaServer.Transport;

namespace VoicePlatform.MediaServer.Sip.Media;

/// <summary>One track of the room on its way to the phone. Frames come in on the room's receive thread; the rest is the pacing thread's.</summary>
internal sealed class RoomTrack(string sid) : IAudioSink, IDisposable
{
    private readonly Lock _gate = new();        // guards the change of the buffer against a frame that comes in
    private PlayoutBuffer? _buffer;
    private TrackDecoders? _decoders;
    private int _rate;

    public string Sid => sid;

    public void OnFrame(ushort sequence, uint timestamp, ReadOnlySpan<byte> opus)
    {
        lock (_gate)
        {
            _buffer?.Insert(0, sequence, timestamp, opus, Stopwatch.GetTimestamp());
        }
    }

    /// <summary>Adds the next 20 ms to a mix of the given rate.</summary>
    /// <param name="scratch">Room for <see cref="PlayoutBuffer.MaxTick"/>.</param>
    public void Add(Span<int> mix, int rate, Span<short> scratch)
    {
        if (rate != _rate)
        {
            Open(rate);
        }

        var samples = _buffer!.Pull(scratch, Stopwatch.GetTimestamp(), out var isSound);
        if (isSound && samples == mix.Length)
        {
            for (var i = 0; i < samples; i++)
            {
                mix[i] += scratch[i];
            }
        }
    }

    /// <summary>The phone does not listen: what waits would be old when it does.</summary>
    public void Discard() => _buffer?.Discard();

    public void Dispose()
    {
        lock (_gate)
        {
            _buffer = null;
            _rate = 0;
            _decoders?.Dispose();
            _decoders = null;
        }
    }

    private void Open(int rate)
    {
        lock (_gate)
        {
            _decoders?.Dispose();
            _decoders = new TrackDecoders(rate);
            (_buffer, _rate) = (new PlayoutBuffer(_decoders), rate);
        }
    }
}
