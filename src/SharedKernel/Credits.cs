namespace VoicePlatform.SharedKernel;

/// <summary>Money is whole micro-credits in a long: no floating point, and no currency beside it.</summary>
public static class Credits
{
    public const string Unit = "micro_credit";

    /// <summary>Micro-credits of one credit.</summary>
    public const long One = 1_000_000;

    /// <summary>The largest amount one posting may carry, in micro-credits (a billion credits): far from overflow in any sum.</summary>
    public const long Max = 1_000_000_000 * One;
}
