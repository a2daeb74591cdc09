using VoicePlatform.Contracts.Billing;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions;

/// <summary>By what a conversation is held, as far as it costs.</summary>
/// <param name="Phone">Null in text and in a browser.</param>
/// <param name="Number">That is called, in E.164: minutes to it, or to a tenant's own, may have prices of their own.</param>
internal readonly record struct Channel(bool TextOnly, CallDirection? Phone, bool IsRecorded, string? Number = null);

/// <summary>What a conversation is measured in, and how much of it a hold must cover.</summary>
internal static class Pricing
{
    /// <summary>A hold is raised a slice at a time; it always covers what was used and one slice more.</summary>
    public static readonly TimeSpan Slice = TimeSpan.FromMinutes(1);

    /// <summary>
    /// The next slice is asked for this long before the present one is over: a conversation that gets none has until then to say so and to end (a report
    /// may be five seconds away, and a goodbye takes as long again).
    /// </summary>
    public static readonly TimeSpan Lead = TimeSpan.FromSeconds(20);

    private const int FirstSlices = 2;

    // What a talkative minute uses: enough that a slice is rarely too small, little enough that few credits lie idle.
    private const int CharactersASlice = 900;
    private const int InputTokensASlice = 12_000;
    private const int OutputTokensASlice = 600;
    private const int MessagesAhead = 5;

    /// <summary>Of a slice's use: when less than one is left the hold is raised to this, so that not every report raises it.</summary>
    private const double RaisedTo = 5 / 3.0;

    /// <param name="longest">The conversation can last no longer: no time is held beyond it.</param>
    public static IReadOnlyList<Measured> FirstHold(Channel channel, TimeSpan longest) => Ahead(channel, [], channel.TextOnly ? TimeSpan.Zero : Slice * (FirstSlices - 1), longest);

    /// <summary>How much longer a conversation is covered by the hold that it began with; null: to its end. What was reported on lately is covered for the lead at least.</summary>
    public static TimeSpan? FirstCover(TimeSpan longest, TimeSpan elapsed) => CoverOf(FirstSlices, longest) - elapsed is not { } covered ? null : covered > Lead ? covered : Lead;

    /// <summary>How long from its beginning as many slices cover a conversation; null: to its end.</summary>
    /// <param name="longest">It can last no longer.</param>
    public static TimeSpan? CoverOf(double slices, TimeSpan longest) => Slice * slices < longest ? Slice * slices : null;

    /// <summary>What was used, and one slice more, as far as it can come.</summary>
    public static IReadOnlyList<Measured> Ahead(Channel channel, IEnumerable<StoredUsage> used, TimeSpan elapsed, TimeSpan longest) => Ahead(channel, used, elapsed, longest, 1);

    /// <summary>As <see cref="Ahead(Channel, IEnumerable{StoredUsage}, TimeSpan, TimeSpan)"/>, and what saves the next reports from asking for more.</summary>
    public static IReadOnlyList<Measured> Raised(Channel channel, IEnumerable<StoredUsage> used, TimeSpan elapsed, TimeSpan longest) => Ahead(channel, used, elapsed, longest, RaisedTo);

    private static IReadOnlyList<Measured> Ahead(Channel channel, IEnumerable<StoredUsage> used, TimeSpan elapsed, TimeSpan longest, double share)
    {
        // What comes is held at the full price, whosever key it will be used by.
        var sum = Used(channel, used, elapsed).ToDictionary(m => (m.Component, m.OwnKey));
        Raise("llm_input", "token", InputTokensASlice);
        Raise("llm_output", "token", OutputTokensASlice);
        if (channel.TextOnly)
        {
            Raise("message", "message", MessagesAhead);
        }
        else
        {
            Raise("speech_to_text", "second", (long)Slice.TotalSeconds);
            Raise("text_to_speech", "character", CharactersASlice);
            foreach (var second in PerSecond(channel, (long)Slice.TotalSeconds))
            {
                RaiseBy(second);
            }
        }

        return [.. sum.Values.Select(m => m.Unit == "second" ? m with { Quantity = Math.Min(m.Quantity, (long)longest.TotalSeconds) } : m)];

        void Raise(string component, string unit, long by) => RaiseBy(new(component, unit, (long)Math.Ceiling(by * share)));

        void RaiseBy(Measured more) =>
            sum[(more.Component, more.OwnKey)] = more with { Quantity = more.Quantity + (sum.TryGetValue((more.Component, more.OwnKey), out var m) ? m.Quantity : 0) };
    }

    /// <param name="discarded">What costs the platform alone.</param>
    public static IReadOnlyList<Measured> Used(Channel channel, IEnumerable<StoredUsage> used, TimeSpan elapsed, IEnumerable<StoredUsage>? discarded = null) =>
    [
        .. Sum(used),
        .. PerSecond(channel, (long)Math.Ceiling(elapsed.TotalSeconds)),
        .. Sum(discarded ?? []).Select(m => m with { Discarded = true }),
    ];

    private static IEnumerable<Measured> Sum(IEnumerable<StoredUsage> used) =>
        used.GroupBy(u => (u.Component, u.Unit, u.OwnKey)).Select(g => new Measured(g.Key.Component, g.Key.Unit, g.Sum(u => u.Quantity)) { OwnKey = g.Key.OwnKey });

    /// <summary>What costs as long as the conversation lasts.</summary>
    private static IEnumerable<Measured> PerSecond(Channel channel, long seconds)
    {
        if (channel.TextOnly)
        {
            yield break;
        }

        yield return new("platform", "second", seconds);
        if (channel.Phone is { } direction)
        {
            yield return new(direction is CallDirection.Outbound ? "telephony_outbound" : "telephony_inbound", "second", seconds) { Number = channel.Number };
        }

        if (channel.IsRecorded)
        {
            yield return new("recording", "second", seconds);
        }
    }
}
