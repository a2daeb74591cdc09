namespace VoicePlatform.Tenants.Events;

/// <summary>When a delivery that failed is tried again: eleven attempts over about three days, and no sooner than the receiver asks.</summary>
internal static class RetrySchedule
{
    /// <summary>The longest time that a receiver may ask us to wait.</summary>
    public static readonly TimeSpan MaxRetryAfter = TimeSpan.FromHours(24);

    private const double Jitter = 0.1;

    // Waits before the second attempt and so on: 71.7 hours in all, and up to a tenth more.
    private static readonly TimeSpan[] Waits =
    [
        TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(30), TimeSpan.FromMinutes(2), TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(30), TimeSpan.FromHours(2),
        TimeSpan.FromHours(6), TimeSpan.FromHours(14), TimeSpan.FromHours(20), TimeSpan.FromHours(29),
    ];

    public static int Attempts => Waits.Length + 1;

    /// <param name="attempt">Which attempt failed, from 1.</param>
    /// <param name="chance">From 0 to 1, so that many that failed together do not come back together.</param>
    /// <returns>How long to wait; null when that was the last attempt.</returns>
    public static TimeSpan? WaitAfter(int attempt, TimeSpan? retryAfter, double chance)
    {
        if (attempt > Waits.Length)
        {
            return null;
        }

        var wait = Waits[attempt - 1];
        var asked = retryAfter > MaxRetryAfter ? MaxRetryAfter : retryAfter ?? TimeSpan.Zero;
        return (asked > wait ? asked : wait) + (wait * (chance * Jitter));
    }
}
