namespace VoicePlatform.Agent.Audio;

/// <summary>
/// Finds the tone after which an answering machine records: one steady frequency, alone, for long enough. Voices and music have
/// several at a time, and do not hold them.
/// </summary>
internal sealed class BeepDetector
{
    private const int LowestHz = 400;
    private const int HighestHz = 2_200;
    private const int StepHz = Pcm.SampleRate / Pcm.FrameSamples;       // 50 Hz: what a frame of 20 ms can tell apart
    private const double QuietestDb = -42;
    private const double Purity = 0.75;                                 // of the frame's energy, in the tone and its neighbours
    private const int FramesNeeded = 8;                                 // 160 ms; machines beep for 200 ms to a second

    private readonly double[] _energies = new double[((HighestHz - LowestHz) / StepHz) + 1];
    private int _tone = -1;
    private int _frames;
    private bool _found;

    /// <summary>True once for each beep, as soon as it has ended.</summary>
    public bool Next(ReadOnlySpan<short> frame)
    {
        var tone = ToneOf(frame);
        if (tone >= 0 && Math.Abs(tone - _tone) <= 1)
        {
            _found |= ++_frames >= FramesNeeded;
            return false;
        }

        var ended = _found;
        (_tone, _frames, _found) = (tone, tone < 0 ? 0 : 1, false);
        return ended;
    }

    /// <summary>Which step of the range the frame is a tone of; -1 when it is none.</summary>
    private int ToneOf(ReadOnlySpan<short> frame)
    {
        if (Pcm.Decibels(frame) < QuietestDb)
        {
            return -1;
        }

        double total = 0;
        foreach (var sample in frame)
        {
            total += (double)sample * sample;
        }

        var loudest = 0;
        for (var i = 0; i < _energies.Length; i++)
        {
            _energies[i] = EnergyAt(frame, LowestHz + (i * StepHz));
            loudest = _energies[i] > _energies[loudest] ? i : loudest;
        }

        var around = _energies[loudest] + (loudest > 0 ? _energies[loudest - 1] : 0) + (loudest + 1 < _energies.Length ? _energies[loudest + 1] : 0);

        // A sine's power at its own bin is half the frame's length times its energy (Parseval).
        return around / (total * frame.Length / 2) >= Purity ? loudest : -1;
    }

    /// <summary>Goertzel's algorithm.</summary>
    private static double EnergyAt(ReadOnlySpan<short> frame, int hz)
    {
        var coefficient = 2 * Math.Cos(2 * Math.PI * hz / Pcm.SampleRate);
        double last = 0, before = 0;
        foreach (var sample in frame)
        {
            (before, last) = (last, sample + (coefficient * last) - before);
        }

        return (last * last) + (before * before) - (coefficient * last * before);
    }
}
