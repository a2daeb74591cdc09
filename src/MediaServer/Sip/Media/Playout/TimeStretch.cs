namespace VoicePlatform.MediaServer.Sip.Media.Playout;

/// <summary>
/// Plays sound a little sooner or later without changing its pitch: a stretch as long as one period of the voice is left out or put in
/// where the waves meet best, and the seam is faded over (the idea of WSOLA).
/// </summary>
internal static class TimeStretch
{
    private const int OverlapPerSecond = 200;       // 5 ms
    private const int ShortestPerSecond = 400;      // 2.5 ms
    private const int LongestPerSecond = 80;        // 12.5 ms
    private const double LeastLikeness = 0.6;
    private const double Quiet = 100;               // amplitude below which any seam will do

    /// <summary>Samples that either operation looks at.</summary>
    public static int Reach(int rate) => (rate / LongestPerSecond) + (rate / OverlapPerSecond);

    /// <summary>Leaves out a period at the beginning; returns how many samples fewer there are, 0 when no seam is good enough.</summary>
    public static int Shorten(Span<short> pcm, int rate, bool mustAct)
    {
        var lag = BestLag(pcm, rate, mustAct);
        var overlap = rate / OverlapPerSecond;
        if (lag == 0)
        {
            return 0;
        }

        for (var i = 0; i < overlap; i++)
        {
            pcm[lag + i] = Fade(pcm[i], pcm[lag + i], i, overlap);
        }

        pcm[lag..].CopyTo(pcm);
        return lag;
    }

    /// <summary>Puts in a period at the beginning; returns how many samples more there are, 0 when no seam is good enough.</summary>
    /// <param name="pcm">With room for the longest period behind <paramref name="length"/> samples.</param>
    public static int Lengthen(Span<short> pcm, int length, int rate, bool mustAct)
    {
        var lag = BestLag(pcm[..length], rate, mustAct);
        var overlap = rate / OverlapPerSecond;
        if (lag == 0)
        {
            return 0;
        }

        // x[0..lag) comes twice: x[lag..] fades into x[0..] again.
        pcm[..length].CopyTo(pcm[lag..]);
        for (var i = 0; i < overlap; i++)
        {
            // pcm[lag + i] holds x[i]; what would have followed x[lag - 1] is x[lag + i], which lies at 2 * lag + i.
            pcm[lag + i] = Fade(pcm[(2 * lag) + i], pcm[lag + i], i, overlap);
        }

        return lag;
    }

    /// <summary>The period of the end of a piece of sound, for going on with it; never 0.</summary>
    public static int PeriodOfEnd(ReadOnlySpan<short> pcm, int rate)
    {
        var (shortest, longest, width) = (rate / ShortestPerSecond, rate / LongestPerSecond, rate / OverlapPerSecond);
        var (best, bestLikeness) = (longest, double.MinValue);
        if (pcm.Length < longest + width)
        {
            return Math.Max(1, Math.Min(longest, pcm.Length));
        }

        var end = pcm[^width..];
        for (var lag = shortest; lag <= longest; lag++)
        {
            var likeness = Likeness(end, pcm.Slice(pcm.Length - width - lag, width), Step(rate));
            (best, bestLikeness) = likeness > bestLikeness ? (lag, likeness) : (best, bestLikeness);
        }

        return best;
    }

    private static int BestLag(ReadOnlySpan<short> pcm, int rate, bool mustAct)
    {
        var (shortest, longest, width) = (rate / ShortestPerSecond, rate / LongestPerSecond, rate / OverlapPerSecond);
        if (pcm.Length < longest + width)
        {
            return 0;
        }

        var (best, bestLikeness) = (0, double.MinValue);
        for (var lag = shortest; lag <= longest; lag++)
        {
            var likeness = Likeness(pcm[..width], pcm.Slice(lag, width), Step(rate));
            (best, bestLikeness) = likeness > bestLikeness ? (lag, likeness) : (best, bestLikeness);
        }

        return bestLikeness >= LeastLikeness || mustAct || IsQuiet(pcm[..(longest + width)]) ? best : 0;
    }

    /// <summary>At 48 kHz every third sample is enough to compare voices.</summary>
    private static int Step(int rate) => Math.Max(1, rate / 16_000);

    private static double Likeness(ReadOnlySpan<short> a, ReadOnlySpan<short> b, int step)
    {
        long product = 0, powerA = 1, powerB = 1;
        for (var i = 0; i < a.Length; i += step)
        {
            product += a[i] * b[i];
            powerA += a[i] * a[i];
            powerB += b[i] * b[i];
        }

        return product / Math.Sqrt((double)powerA * powerB);
    }

    private static bool IsQuiet(ReadOnlySpan<short> pcm)
    {
        foreach (var sample in pcm)
        {
            if (Math.Abs((int)sample) > Quiet)
            {
                return false;
            }
        }

        return true;
    }

    private static short Fade(short from, short to, int at, int length) => (short)(((from * (length - at)) + (to * at)) / length);
}
