namespace VoicePlatform.SharedKernel;

/// <summary>
/// Work that is done from time to time, by one host of all. Modules register theirs as <see cref="IScheduledJob"/> (scoped); the host runs them with the
/// scheduler it has (docs/adr/0010). A run that fails is logged and comes again with the next one; a run may be repeated after a crash.
/// </summary>
public interface IScheduledJob
{
    /// <summary>Stable and unique ("tenant.clear-out").</summary>
    string Name { get; }

    Schedule Schedule { get; }

    Task RunAsync(CancellationToken ct);
}

/// <summary>When a job runs, in words that every scheduler has.</summary>
public abstract record Schedule
{
    private Schedule()
    {
    }

    /// <summary>Again and again, with this much time between two starts (at least a second).</summary>
    public sealed record Every(TimeSpan Interval) : Schedule;

    /// <summary>Once a day at this time, UTC.</summary>
    public sealed record DailyAt(TimeOnly Time) : Schedule;
}
