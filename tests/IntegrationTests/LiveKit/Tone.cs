namespace VoicePlatform.IntegrationTests.LiveKit;

/// <summary>Makes a tone and finds it again.</summary>
internal static class Tone
{
    public static short[] Make(double hertz, int sampleRate, int samples, int offset = 0)
    {
        var tone = new short[samples];
        for (var i = 0; i < samples; i++)
        {
            tone[i] = (short)(8000 * Math.Sin(2 * Math.PI * hertz * (offset + i) / sampleRate));
        }

        return tone;
    }

    public static double Power(ReadOnlySpan<short> samples)
    {
        var sum = 0.0;
        foreach (var sample in samples)
        {
            sum += (double)sample * sample;
        }

        return samples.IsEmpty ? 0 : sum / samples.Length;
    }

    /// <summary>The share of the power that lies at this frequency (Goertzel), 0 to 1.</summary>
    public static double Share(ReadOnlySpan<short> samples, double hertz, int sampleRate)
    {
        var coefficient = 2 * Math.Cos(2 * Math.PI * hertz / sampleRate);
        var (last, previous) = (0.0, 0.0);
        foreach (var sample in samples)
        {
            (last, previous) = (sample + (coefficient * last) - previous, last);
        }

        var power = (last * last) + (previous * previous) - (coefficient * last * previous);
        var all = Power(samples) * samples.Length * samples.Length / 2;
        return all == 0 ? 0 : power / all;
    }
}
