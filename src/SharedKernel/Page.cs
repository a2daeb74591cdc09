namespace VoicePlatform.SharedKernel;

/// <summary>One page of a list, newest first. <paramref name="NextCursor"/> goes into ?starting_after= for the next one.</summary>
public sealed record Page<T>(IReadOnlyList<T> Data, bool HasMore, string? NextCursor)
{
    /// <summary>Cuts a list that was read with one row more than asked for.</summary>
    public static Page<T> Of(IList<T> oneMore, int limit, Func<T, string> cursor)
    {
        var hasMore = oneMore.Count > limit;
        if (hasMore)
        {
            oneMore.RemoveAt(limit);
        }

        return new([.. oneMore], hasMore, hasMore ? cursor(oneMore[^1]) : null);
    }
}

/// <summary>What a list may be asked: 1 to 100 rows (default 20), and the id after which to go on.</summary>
public sealed record PageQuery(int? Limit, string? StartingAfter)
{
    public const int DefaultLimit = 20;
    public const int MaxLimit = 100;

    public int Rows => Limit ?? DefaultLimit;

    public Error? Refusal => Limit is < 1 or > MaxLimit ? Error.Field("limit", "out_of_range", $"'limit' must be from 1 to {MaxLimit}.")
        : StartingAfter is { Length: > 64 } ? Error.Field("starting_after", "too_long", "'starting_after' is not a cursor.")
        : null;
}
