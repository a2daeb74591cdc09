namespace VoicePlatform.MediaServer.Sip.Media.Codecs;

/// <summary>The tables of ITU-T G.722 that both directions use, under the recommendation's names.</summary>
internal static class G722Tables
{
    public const int LowScale = 32;
    public const int LowScaleLimit = 18_432;
    public const int LowScaleShift = 8;
    public const int HighScale = 8;
    public const int HighScaleLimit = 22_528;
    public const int HighScaleShift = 10;
    public const int FilterTaps = 24;

    /// <summary>The quadrature mirror filter's even coefficients; the odd ones are the same backwards.</summary>
    public static ReadOnlySpan<short> Filter => [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

    /// <summary>WL, by RL42.</summary>
    public static ReadOnlySpan<short> LowWeight => [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];

    /// <summary>WH, by RH2.</summary>
    public static ReadOnlySpan<short> HighWeight => [798, -214, 798, -214];

    public static ReadOnlySpan<short> Qm2 => [-7408, -1616, 7408, 1616];

    public static ReadOnlySpan<short> Qm4 =>
    [
        0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0,
    ];

    public static ReadOnlySpan<short> Qm6 =>
    [
        -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576, -7856,
        -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040, -728,
        24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
        4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
    ];

    /// <summary>Q6: the decision levels of the low band.</summary>
    public static ReadOnlySpan<short> Decision =>
    [
        0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714,
        786, 858, 940, 1023, 1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
    ];

    public static G722Band Low() => new(LowScale, LowScaleLimit, LowScaleShift);

    public static G722Band High() => new(HighScale, HighScaleLimit, HighScaleShift);
}
