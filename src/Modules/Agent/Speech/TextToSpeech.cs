namespace VoicePlatform.Agent.Speech;

/// <summary>Speaks. One object serves many conversations.</summary>
internal interface ITextToSpeech
{
    string Provider { get; }

    string Model { get; }

    /// <summary>The audio of a sentence, as it comes: 16 kHz mono pieces of any length.</summary>
    /// <exception cref="ProviderException">It could not be spoken.</exception>
    IAsyncEnumerable<ReadOnlyMemory<short>> SpeakAsync(string text, CancellationToken ct);
}
