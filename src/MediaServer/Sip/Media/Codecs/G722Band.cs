namespace VoicePlatform.MediaServer.Sip.Media.Codecs;

/// <summary>
/// The adaptive predictor and quantiser scale of one half band of ITU-T G.722 (clause 3.6 and 4): two poles, six zeros. The same on both
/// ends, driven by the same quantised differences. Names of the steps are the recommendation's.
/// </summary>
internal sealed class G722Band(int initialScale, int scaleLimit, int scaleShift)
{
    private static readonly short[] s_logToLinear =      // ILB
    [
        2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
        2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
    ];

    private readonly int[] _difference = new int[7];        // D, newest first
    private readonly int[] _zeros = new int[7];             // B, from index 1
    private int _log;                                       // NB
    private int _a1;
    private int _a2;
    private int _p1;
    private int _p2;
    private int _r1;
    private int _zeroPart;                                  // SZ

    /// <summary>What the next sample is thought to be.</summary>
    public int Prediction { get; private set; }

    /// <summary>DET: the quantiser's step.</summary>
    public int Scale { get; private set; } = initialScale;

    public static int Saturate(int value) => Math.Clamp(value, short.MinValue, short.MaxValue);

    /// <summary>LOGSCL and SCALEL, LOGSCH and SCALEH.</summary>
    public void AdaptScale(int weight)
    {
        _log = Math.Clamp(((_log * 127) >> 7) + weight, 0, scaleLimit);
        var shift = scaleShift - (_log >> 11);
        var mantissa = (int)s_logToLinear[(_log >> 6) & 31];
        Scale = (shift < 0 ? mantissa << -shift : mantissa >> shift) << 2;
    }

    /// <summary>Block 4: takes a quantised difference and predicts the next sample.</summary>
    public void Adapt(int difference)
    {
        var reconstructed = Saturate(Prediction + difference);
        var partial = Saturate(_zeroPart + difference);
        AdaptPoles(partial);
        AdaptZeros(difference);

        var sum = ((_a1 * Saturate(2 * reconstructed)) >> 15) + ((_a2 * Saturate(2 * _r1)) >> 15);
        (_p2, _p1, _r1) = (_p1, partial, reconstructed);
        Prediction = Saturate(Saturate(sum) + _zeroPart);
    }

    private void AdaptPoles(int partial)
    {
        // UPPOL2
        var isLikeFirst = (partial >> 31) == (_p1 >> 31);
        var isLikeSecond = (partial >> 31) == (_p2 >> 31);
        var lead = Saturate(_a1 << 2);
        var step = Math.Min(isLikeFirst ? -lead : lead, short.MaxValue);
        var a2 = Math.Clamp((step >> 7) + (isLikeSecond ? 128 : -128) + ((_a2 * 32_512) >> 15), -12_288, 12_288);

        // UPPOL1
        var limit = Saturate(15_360 - a2);
        _a1 = Math.Clamp(Saturate((isLikeFirst ? 192 : -192) + ((_a1 * 32_640) >> 15)), -limit, limit);
        _a2 = a2;
    }

    /// <summary>UPZERO, DELAYA and FILTEZ.</summary>
    private void AdaptZeros(int difference)
    {
        var step = difference == 0 ? 0 : 128;
        var sign = difference >> 31;
        _difference[0] = difference;
        var sum = 0;
        for (var i = 6; i > 0; i--)
        {
            var change = (_difference[i] >> 31) == sign ? step : -step;
            _zeros[i] = Saturate(change + ((_zeros[i] * 32_640) >> 15));
            _difference[i] = _difference[i - 1];
            sum += (_zeros[i] * Saturate(2 * _difference[i])) >> 15;
        }

        _zeroPart = Saturate(sum);
    }
}
