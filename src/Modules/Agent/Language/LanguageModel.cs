using VoicePlatform.Agent.Tools;
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

    /// <summary>The model wants a tool to be used before it goes on.</summary>
    public sealed record Call(ToolCall ToolCall) : Generated;

    /// <summary>The caller is handed over to somebody else after this answer.</summary>
    /// <param name="To">E.164, or sip:user@host.</param>
    public sealed record Transfer(string To) : Generated;

    /// <summary>What the answer used.</summary>
    public sealed record Used(UsageTotal Total) : Generated;
}

/// <summary>What a model is asked: the assistant, what was said before, and what was said now.</summary>
internal sealed record Prompt(
    AssistantDocument Assistant, IReadOnlyDictionary<string, string> Variables, IReadOnlyList<Said> History, string Text, string Instructions = "")
{
    /// <summary>What the model may call.</summary>
    public IReadOnlyList<ToolDefinition> Tools { get; init; } = [];

    /// <summary>Told what was used for an answer that is cut off before its provider says so.</summary>
    public Action<UsageTotal>? Cut { get; init; }

    /// <summary>What this answer has called so far, and what came of it.</summary>
    public IReadOnlyList<ToolExchange> Exchanges { get; init; } = [];
}

internal sealed record Said(Speaker Speaker, string Text);

internal interface ILanguageModel
{
    string Provider { get; }

    string Model { get; }

    /// <exception cref="VoicePlatform.Agent.Speech.ProviderException">It did not answer, or stopped in the middle.</exception>
    IAsyncEnumerable<Generated> AnswerAsync(Prompt prompt, CancellationToken ct);
}
