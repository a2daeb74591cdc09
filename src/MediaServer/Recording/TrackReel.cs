using VoicePlatform.MediaServer.Sip.Media.Codecs;

namespace VoicePlatform.MediaServer.Recording;

/// <summary>
/// One track laid along the recording's time: the first frame where it arrived, the next ones by their timestamps. Where timestamps
/// and arrival part for good (a sender's clock that jumped, a pause that was not counted) the frame is laid where it arrived.
/// </summary>
internal sealed class TrackReel : IDisposable
{
    private const int RtpRate = 48_000;
    private const int Ahead = Mix.Rate * 3;                // samples kept before they are due
    private const int LongestFrame = Mix.Rate * 120 / 1000;
    private const int Concealable = Mix.Rate * 60 / 1000;  // a gap up to this is loss, and made up; beyond it is a pause

    // Jitter and a burst after a stall move arrivals; more than this is another time.
    private static readonly long s_tolerance = Mix.Rate / 4;

    private readonly OpusDecoder _decoder = new(Mix.Rate);
    private readonly short[] _samples = new short[Ahead];
    private readonly short[] _frame = new short[LongestFrame];
    private uint _lastTimestamp;
    private long _lastPosition = -1;
    private long _end;

    public TrackReel(TrackTape tape, int channel, TimeProvider clock) => (Tape, Channel, Clock) = (tape, channel, clock);

    public TrackTape Tape { get; }

    /// <summary>0 left or mono, 1 right.</summary>
    public int Channel { get; }

    /// <summary>The track ended: what is on it still counts.</summary>
    public bool IsOver { get; set; }

    /// <summary>Everything that came on it was mixed.</summary>
    public bool IsEmpty(long mixed) => IsOver && _end <= mixed && !Tape.TryPeek(out _, out _);

    private TimeProvider Clock { get; }

    /// <summary>Lays what has come since.</summary>
    /// <param name="startedAt">When the recording began (<see cref="TimeProvider.GetTimestamp"/>).</param>
    /// <param name="mixed">Samples mixed already: what belongs before them is too late.</param>
    public void Wind(long startedAt, long mixed)
    {
        while (Tape.TryPeek(out var frame, out var opus))
        {
            var arrived = (long)(Clock.GetElapsedTime(startedAt, frame.ArrivedAt).TotalSeconds * Mix.Rate);
            var position = arrived;
            if (_lastPosition >= 0)
            {
                var by = _lastPosition + ((long)(int)(frame.Timestamp - _lastTimestamp) * Mix.Rate / RtpRate);
                position = Math.Abs(by - arrived) <= s_tolerance ? by : arrived;
            }

            if (position - mixed > Ahead - LongestFrame)
            {
                return;     // of a later time; the mixer comes back
            }

            if (position - _end is > 0 and <= Concealable && _lastPosition >= 0)
            {
                Conceal(opus, (int)(position - _end), mixed);
            }

            var length = _decoder.Decode(opus, _frame);
            Lay(_frame.AsSpan(0, length), position, mixed);
            (_lastTimestamp, _lastPosition) = (frame.Timestamp, position);
            Tape.Pass();
        }
    }

    /// <summary>Adds what is due to the mix and forgets it.</summary>
    public void Unwind(Span<int> mix, long position)
    {
        for (var i = 0; i < mix.Length; i++)
        {
            ref var sample = ref _samples[(position + i) % Ahead];
            mix[i] += sample;
            sample = 0;
        }
    }

    public void Dispose() => _decoder.Dispose();

    private void Conceal(ReadOnlySpan<byte> next, int samples, long mixed)
    {
        // libopus makes up whole frames of 2.5 ms.
        samples -= samples % (Mix.Rate / 400);
        if (samples > 0 && _decoder.TryConceal(next, _frame.AsSpan(0, samples)))
        {
            Lay(_frame.AsSpan(0, samples), _end, mixed);
        }
    }

    private void Lay(ReadOnlySpan<short> pcm, long position, long mixed)
    {
        for (var i = 0; i < pcm.Length; i++)
        {
            if (position + i >= mixed)
            {
                _samples[(position + i) % Ahead] = pcm[i];
            }
        }

        _end = Math.Max(_end, position + pcm.Length);
    }
}
