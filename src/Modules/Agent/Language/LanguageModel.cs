using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Agent.Language;

/// <summary>What a model answers, piece by piece.</summary>
internal abstract record Generated
{
    private Generated()
    {
    }

    public sealed record Text(string Piece) : Generated;

    /// <summary>The conversation ends after this answer.</summary>
    public sealed record EndConversation : Generated;

    /// <summary>What the answer used.</summary>
    public sealed record Used(UsageTotal Total) : Generated;
}

/// <summary>What a model is asked: the assistant, what was said before, and what was said now.</summary>
internal sealed record Prompt(
    AssistantDocument Assistant, IReadOnlyDictionary<string, string> Variables, IReadOnlyList<Said> History, string Text, string Instructions = "");

internal sealed record Said(Speaker Speaker, string Text);

internal interface ILanguageModel
{
    string Provider { get; }

    string Model { get; }

    /// <exception cref="VoicePlatform.Agent.Speech.ProviderException">It did not answer, or stopped in the middle.</exception>
    IAsyncEnumerable<Generated> AnswerAsync(Prompt prompt, CancellationToken ct);
}
