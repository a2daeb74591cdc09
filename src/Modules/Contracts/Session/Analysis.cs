using System.Text.Json;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Contracts.Sessions;

public enum AnalysisStatus
{
    /// <summary>It waits, or is being made.</summary>
    Pending,
    Ready,
    Failed,
}

/// <summary>What was found out about a conversation when it was over; what was not asked for, or not said, is null.</summary>
/// <param name="SuccessReason">Why it counts as a success or not, in a sentence.</param>
/// <param name="Fields">Every field asked for, by name.</param>
/// <param name="Model">Who found it out, as provider/model.</param>
/// <param name="Error">Why there is none.</param>
public sealed record ConversationAnalysis(
    AnalysisStatus Status, string? Summary, bool? Success, string? SuccessReason, IReadOnlyDictionary<string, JsonElement> Fields, string? Model,
    DateTimeOffset AskedAt, DateTimeOffset? EndedAt, string? Error);

/// <summary>The analysis of a conversation. Not found where none was asked for.</summary>
public sealed record ReadAnalysis(string SessionId) : IRequest<Result<ConversationAnalysis>>;

/// <summary>
/// Has a conversation of the tenant analysed that is over, again or for the first time. Refused while an analysis is being made, and without credits.
/// </summary>
/// <param name="Changes">Null: as it was asked for when the conversation began.</param>
public sealed record AskForAnalysis(string TenantId, string SessionId, AnalysisChanges? Changes) : ICommand<ConversationAnalysis>;

/// <summary>The conversation of a call was analysed, or could not be. Published inside the transaction that notes it, once for each time it was asked for.</summary>
public sealed record PhoneSessionAnalyzed(string SessionId, string CallId, ConversationAnalysis Analysis) : INotification;

/// <summary>What an analysis is to find out instead of what the assistant says, for this once; null: as the assistant says.</summary>
public sealed record AnalysisChanges(bool? Summary = null, string? Success = null, IReadOnlyList<AnalysisField>? Fields = null, LanguageModelChoice? Llm = null);
