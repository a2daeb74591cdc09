namespace VoicePlatform.Contracts.Assistants;

/// <summary>llm.options of "local/script": a model that answers by rules, the same every time. Good for menus, demos and tests.</summary>
public sealed record ScriptOptions
{
    /// <summary>Tried in order; the first that matches what the caller said answers.</summary>
    public IReadOnlyList<ScriptRule> Rules { get; init; } = [];

    /// <summary>The answer when no rule matches.</summary>
    public string Otherwise { get; init; } = "Sorry, I did not get that.";
}

public sealed record ScriptRule
{
    /// <summary>A regular expression over what the caller said; case does not matter.</summary>
    public required string When { get; init; }

    /// <summary>The answer; {{name}} is replaced from the variables.</summary>
    public string Say { get; init; } = "";

    /// <summary>A tool to run before answering, by name; {{result}} in the answer is what it said. It is given the arguments below, and what the caller said as "text".</summary>
    public string? Tool { get; init; }

    /// <summary>Texts for the tool; {{name}} is replaced from the variables.</summary>
    public IReadOnlyDictionary<string, string> Arguments { get; init; } = new Dictionary<string, string>();

    /// <summary>End the conversation after the answer.</summary>
    public bool EndCall { get; init; }
}
