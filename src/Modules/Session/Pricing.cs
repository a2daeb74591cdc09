using VoicePlatform.Contracts.Billing;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions;

/// <summary>What a conversation is measured in, and how much of it a hold must cover.</summary>
internal static class Pricing
{
    /// <summary>A hold is raised a slice at a time; it always covers what was used and one slice more.</summary>
    public static readonly TimeSpan Slice = TimeSpan.FromMinutes(1);

    // What a talkative minute uses: enough that a slice is rarely too small, little enough that few credits lie idle.
    private const int CharactersASlice = 900;
    private const int InputTokensASlice = 12_000;
    private const int OutputTokensASlice = 600;
    private const int MessagesAhead = 5;

    public static IReadOnlyList<Measured> FirstHold(bool textOnly) => Ahead(textOnly, [], textOnly ? TimeSpan.Zero : Slice);

    /// <summary>What was used, and one slice more.</summary>
    public static IReadOnlyList<Measured> Ahead(bool textOnly, IEnumerable<StoredUsage> used, TimeSpan elapsed)
    {
        var sum = Used(textOnly, used, elapsed).ToDictionary(m => m.Component);
        Raise("llm_input", "token", InputTokensASlice);
        Raise("llm_output", "token", OutputTokensASlice);
        if (textOnly)
        {
            Raise("message", "message", MessagesAhead);
        }
        else
        {
            Raise("platform", "second", (long)Slice.TotalSeconds);
            Raise("speech_to_text", "second", (long)Slice.TotalSeconds);
            Raise("text_to_speech", "character", CharactersASlice);
        }

        return [.. sum.Values];

        void Raise(string component, string unit, long by) =>
            sum[component] = new(component, unit, by + (sum.TryGetValue(component, out var m) ? m.Quantity : 0));
    }

    public static IReadOnlyList<Measured> Used(bool textOnly, IEnumerable<StoredUsage> used, TimeSpan elapsed)
    {
        var sum = used.GroupBy(u => (u.Component, u.Unit)).Select(g => new Measured(g.Key.Component, g.Key.Unit, g.Sum(u => u.Quantity))).ToList();
        if (!textOnly)
        {
            sum.Add(new("platform", "second", (long)Math.Ceiling(elapsed.TotalSeconds)));
        }

        return sum;
    }
}
