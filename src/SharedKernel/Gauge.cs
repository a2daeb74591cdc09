namespace VoicePlatform.SharedKernel;

/// <summary>A figure of the whole installation, read from the database when metrics are asked for.</summary>
/// <param name="Name">As a meter would name it: "voiceplatform.calls.queued".</param>
/// <param name="Tag">What the value is of, as (name, word of a small vocabulary); null where there is one value.</param>
public sealed record Gauge(string Name, string Description, (string Name, string Value)? Tag, double Value);

/// <summary>What a module can tell about its tables. Asked every few seconds at most; must be cheap however many rows there are.</summary>
public interface IGauges
{
    Task<IReadOnlyList<Gauge>> ReadAsync(CancellationToken ct);
}
