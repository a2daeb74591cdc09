namespace VoicePlatform.Agent.Tools;

/// <summary>A function that the model may call.</summary>
/// <param name="ParametersJson">A JSON Schema of type object.</param>
internal sealed record ToolDefinition(string Name, string Description, string ParametersJson);

/// <param name="Id">The model's own, by which it finds the result again.</param>
/// <param name="ArgumentsJson">As the model wrote it: to be checked.</param>
internal sealed record ToolCall(string Id, string Name, string ArgumentsJson);

/// <summary>What the model is told of a call.</summary>
internal sealed record ToolOutcome(string Text, bool Failed = false)
{
    /// <summary>The conversation ends after what the assistant says next.</summary>
    public bool EndsConversation { get; init; }

    /// <summary>Where the caller is handed over to after what the assistant says next.</summary>
    public string? TransferTo { get; init; }
}

/// <summary>A step of an answer that took several: what the model said and called, and what came of it.</summary>
internal sealed record ToolExchange(string SaidBefore, IReadOnlyList<(ToolCall Call, ToolOutcome Outcome)> Calls);

/// <summary>Something that can be called.</summary>
internal interface ITool
{
    ToolDefinition Definition { get; }

    /// <summary>What the assistant says while it waits; empty: nothing.</summary>
    string Say { get; }

    /// <exception cref="ToolException">It could not be done; the text is for the model.</exception>
    Task<ToolOutcome> RunAsync(string argumentsJson, CancellationToken ct);
}

/// <summary>A call that did not work. The message is what the model is told.</summary>
internal sealed class ToolException(string message, Exception? inner = null) : Exception(message, inner);
