using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Agent.Speech;

/// <summary>A provider failed. Retryable: the same request may work again; otherwise another provider must do it.</summary>
internal sealed class ProviderException(string provider, string message, bool retryable, Exception? inner = null) : Exception(message, inner)
{
    public string Provider { get; } = provider;

    public bool Retryable { get; } = retryable;
}

/// <summary>What a recogniser tells. Segment counts the stretches of speech from 1.</summary>
internal abstract record Transcription(int Segment)
{
    /// <summary>What it has understood so far; may change.</summary>
    public sealed record Partial(int Segment, string Text) : Transcription(Segment);

    /// <summary>What was said in the segment; empty when it was no speech. <paramref name="Took"/>: from the segment's end to now.</summary>
    public sealed record Final(int Segment, string Text, TimeSpan Took) : Transcription(Segment);

    public sealed record Failed(int Segment, ProviderException Error) : Transcription(Segment);
}

/// <summary>Makes recognisers, one a conversation.</summary>
internal interface ISpeechToText
{
    string Provider { get; }

    string Model { get; }

    /// <param name="hear">Takes what is understood; called on threads of the recogniser, must not block.</param>
    IRecogniser Open(Action<Transcription> hear);
}

/// <summary>Listens to one caller. The calls come from one thread, never block, and copy what they keep.</summary>
internal interface IRecogniser : IAsyncDisposable
{
    /// <summary>Speech begins; what follows belongs to this segment.</summary>
    void Begin(int segment);

    /// <summary>Samples of the running segment; outside segments too for a provider that wants everything.</summary>
    void Push(ReadOnlySpan<short> samples);

    /// <summary>The segment is over: exactly one Final or Failed follows for it.</summary>
    void End();

    /// <summary>What has been used so far.</summary>
    UsageTotal Usage { get; }
}
