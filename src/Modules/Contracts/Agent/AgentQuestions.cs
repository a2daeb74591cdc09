using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Contracts.Agent;

/// <summary>
/// Are the models here that a conversation with this assistant needs, aloud or in text? Refused with assistant.provider_missing, which
/// names the field and the provider, when one is not.
/// </summary>
public sealed record FindProviders(string TenantId, AssistantDocument Assistant, bool Voice) : IRequest<Result<Done>>;

/// <summary>Can this installation hold one more conversation with these models? Unavailable when full; invalid names the model that is not there.</summary>
public sealed record CheckReadiness(string TenantId, AssistantDocument Assistant, bool Voice) : IRequest<Result<Readiness>>;

/// <param name="AgentName">The name under which workers register, for dispatch.</param>
public sealed record Readiness(string AgentName);

/// <summary>One turn of a conversation in text: what the assistant answers, and what that used.</summary>
public sealed record AnswerInText(
    AssistantDocument Assistant,
    IReadOnlyDictionary<string, string> Variables,
    IReadOnlyList<TextLine> History,
    string Text,
    string TenantId) : IRequest<Result<TextAnswer>>
{
    public string SessionId { get; init; } = "";
    public string AssistantId { get; init; } = "";
    public IReadOnlyList<ToolDocument> Tools { get; init; } = [];
}

public sealed record TextLine(Speaker Speaker, string Text);

/// <param name="Notes">For the session's events: which tools were used, and what came of it.</param>
public sealed record TextAnswer(string Text, bool EndsConversation, IReadOnlyList<UsageTotal> Usage, IReadOnlyList<SessionNote> Notes);

/// <summary>
/// Our agent joins a room by a token that it was handed, wherever that room is, and holds the session there. Answers when it is on its
/// way; unavailable when no more conversations fit.
/// </summary>
/// <param name="Url">LiveKit's, ws or http.</param>
public sealed record AttendRoom(string SessionId, string Url, string Token) : IRequest<Result<Done>>;

/// <summary>
/// What a model finds out about a conversation that is over. Unavailable when it does not answer now; any other refusal is for good.
/// </summary>
/// <param name="Settings">Its model named.</param>
public sealed record AnalyzeConversation(string TenantId, AnalysisSettings Settings, IReadOnlyList<TextLine> Lines, DateTimeOffset StartedAt)
    : IRequest<Result<Findings>>;

/// <param name="Failure">What it answered could not be read; null: all is there.</param>
public sealed record Findings(
    string Model, string? Summary, bool? Success, string? SuccessReason, IReadOnlyDictionary<string, System.Text.Json.JsonElement> Fields, string? Failure,
    IReadOnlyList<UsageTotal> Usage);
