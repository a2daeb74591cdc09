namespace VoicePlatform.Billing.Ledger;

/// <summary>What rate cards price.</summary>
internal static class Components
{
    // A day; more characters or tokens than a day of talk has; and more than a day of writing.
    private const long Seconds = 86_400;
    private const long Units = 100_000_000;
    private const long Messages = 100_000;

    /// <summary>What may be had at a price of its own for each prefix of the number that is called: the tenant's own one, of a call that comes in.</summary>
    private static readonly HashSet<string> Numbered = ["telephony_inbound", "telephony_outbound", "number"];

    /// <summary>By name.</summary>
    public static IReadOnlyDictionary<string, Component> All { get; } = new Component[]
    {
        new("platform", "second", Seconds),
        new("telephony_inbound", "second", Seconds),
        new("telephony_outbound", "second", Seconds),
        new("recording", "second", Seconds),
        new("speech_to_text", "second", Seconds),
        new("text_to_speech", "character", Units),
        new("llm_input", "token", Units),
        new("llm_cached_input", "token", Units),
        new("llm_output", "token", Units),
        new("realtime_audio_input", "token", Units),
        new("realtime_cached_audio_input", "token", Units),
        new("realtime_audio_output", "token", Units),
        new("message", "message", Messages),
        new("number", "month", 1),
    }.ToDictionary(c => c.Name);

    public static bool IsNumbered(string name) => Numbered.Contains(name);
}

/// <param name="Unit">What it is measured in.</param>
/// <param name="Most">What one conversation (one month, of a number) can use of it, in units: what that costs must fit a posting.</param>
internal sealed record Component(string Name, string Unit, long Most);
