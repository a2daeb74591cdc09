namespace VoicePlatform.IntegrationTests.MediaServer;

/// <summary>Finds tones in sound, so that a test can say whose sound it is.</summary>
internal static class Tones
{
    private const double LoudAmplitude = 1_500;

    /// <summary>Seconds of the sound in which a tone is loud: windows of 20 ms, by Goertzel's algorithm.</summary>
    public static double Seconds(ReadOnlySpan<short> pcm, int rate, int hz)
    {
        var window = rate / 50;
        var coefficient = 2 * Math.Cos(2 * Math.PI * hz / rate);
        var loud = 0;
        for (var at = 0; at + window <= pcm.Length; at += window)
        {
            double last = 0, before = 0;
            foreach (var sample in pcm.Slice(at, window))
            {
                (before, last) = (last, sample + (coefficient * last) - before);
            }

            var amplitude = Math.Sqrt(Math.Max(0, (last * last) + (before * before) - (coefficient * last * before))) * 2 / window;
            loud += amplitude > LoudAmplitude ? 1 : 0;
        }

        return (double)loud * window / rate;
    }

    public static short[] Make(int rate, int hz, double seconds, double amplitude = 8_000) =>
        [.. Enumerable.Range(0, (int)(rate * seconds)).Select(i => (short)(amplitude * Math.Sin(2 * Math.PI * hz * i / rate)))];
}
