namespace VoicePlatform.SharedKernel;

/// <summary>The time that figures are asked about: from (included) to (excluded), in UTC.</summary>
public sealed record Period(DateTimeOffset From, DateTimeOffset To, GroupBy GroupBy)
{
    /// <summary>The longest that may be asked about at once.</summary>
    public const int MaxDays = 92;

    /// <summary>What is looked at when nothing is said.</summary>
    public const int DefaultDays = 30;

    public static Result<Period> Of(DateTimeOffset? from, DateTimeOffset? to, string? groupBy, DateTimeOffset now)
    {
        GroupBy? group = groupBy switch { null or "day" => GroupBy.Day, "assistant" => GroupBy.Assistant, "number" => GroupBy.Number, _ => null };
        if (group is null)
        {
            return Error.Field("group_by", "unknown", "'group_by' must be one of day, assistant, number.");
        }

        var end = to?.ToUniversalTime() ?? now;
        if (end < DateTimeOffset.MinValue.AddDays(MaxDays + 1))
        {
            return Error.Field("to", "out_of_range", "'to' is too long ago.");
        }

        var start = from?.ToUniversalTime() ?? end.AddDays(-DefaultDays);
        return start >= end ? Error.Field("from", "out_of_range", "'from' must be before 'to'.")
            : end - start > TimeSpan.FromDays(MaxDays) ? Error.Field("from", "out_of_range", $"'from' and 'to' may be {MaxDays} days apart.")
            : new Period(start, end, group.Value);
    }
}

/// <summary>What one row of figures stands for.</summary>
public enum GroupBy
{
    /// <summary>A day in UTC, as 2026-11-26.</summary>
    Day,

    /// <summary>An assistant, by its id.</summary>
    Assistant,

    /// <summary>The tenant's own telephone number, in E.164; null for conversations without a telephone.</summary>
    Number,
}
