namespace VoicePlatform.Tests.MediaServer.Sip.Media;

/// <summary>Makes tones and finds them again.</summary>
internal static class Sound
{
    public static short[] Tone(double hertz, int rate, int samples, long offset = 0, int amplitude = 8_000)
    {
        var tone = new short[samples];
        for (var i = 0; i < samples; i++)
        {
            tone[i] = (short)Math.Round(amplitude * Math.Sin(2 * Math.PI * hertz * (offset + i) / rate));
        }

        return tone;
    }

    public static double Power(ReadOnlySpan<short> pcm)
    {
        var sum = 0.0;
        foreach (var sample in pcm)
        {
            sum += (double)sample * sample;
        }

        return pcm.IsEmpty ? 0 : sum / pcm.Length;
    }

    /// <summary>
    /// The share of the power that lies at this frequency, 0 to 1; measured in pieces of 100 ms, because playing a little sooner or later
    /// shifts the phase.
    /// </summary>
    public static double Share(ReadOnlySpan<short> pcm, double hertz, int rate)
    {
        var (found, all) = (0.0, 0.0);
        var window = Math.Min(pcm.Length, rate / 10);
        for (var at = 0; window > 0 && at + window <= pcm.Length; at += window)
        {
            found += PowerAt(pcm.Slice(at, window), hertz, rate);
            all += Power(pcm.Slice(at, window));
        }

        return all == 0 ? 0 : found / all;
    }

    /// <summary>Goertzel.</summary>
    private static double PowerAt(ReadOnlySpan<short> pcm, double hertz, int rate)
    {
        var coefficient = 2 * Math.Cos(2 * Math.PI * hertz / rate);
        var (last, previous) = (0.0, 0.0);
        foreach (var sample in pcm)
        {
            (last, previous) = (sample + (coefficient * last) - previous, last);
        }

        return ((last * last) + (previous * previous) - (coefficient * last * previous)) * 2 / ((double)pcm.Length * pcm.Length);
    }

    /// <summary>Signal to noise in dB of a copy that may be delayed, quieter or louder: the best over all delays.</summary>
    public static double SignalToNoise(ReadOnlySpan<short> original, ReadOnlySpan<short> copy, int maxDelay)
    {
        var best = double.MinValue;
        var length = Math.Min(original.Length, copy.Length) - maxDelay;
        for (var delay = 0; delay <= maxDelay; delay++)
        {
            var (product, power, error) = (0.0, 1e-9, 1e-9);
            for (var i = 0; i < length; i++)
            {
                product += (double)original[i] * copy[i + delay];
                power += (double)original[i] * original[i];
            }

            var gain = product / power;
            for (var i = 0; i < length; i++)
            {
                var difference = copy[i + delay] - (gain * original[i]);
                error += difference * difference;
            }

            best = Math.Max(best, 10 * Math.Log10(gain * gain * power / error));
        }

        return best;
    }

    /// <summary>20 ms windows without sound.</summary>
    public static int Gaps(ReadOnlySpan<short> pcm, int rate, double floor = 1_000)
    {
        var gaps = 0;
        var window = rate / 50;
        for (var at = 0; at + window <= pcm.Length; at += window)
        {
            gaps += Math.Sqrt(Power(pcm.Slice(at, window))) < floor ? 1 : 0;
        }

        return gaps;
    }
}
