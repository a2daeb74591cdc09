using System.Text.Json;
using System.Text.RegularExpressions;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions;

/// <summary>A conversation as it is asked for, by whichever door.</summary>
internal sealed partial record NewSession(
    string? AssistantId, ParticipantSpec? Participant = null, IReadOnlyDictionary<string, string>? Variables = null, JsonElement? Metadata = null, bool TextOnly = false)
    : IRequest<Result<StartedSession>>, IEffect
{
    /// <summary>The caller's own name for the room; null: one is made. Refused when a conversation goes on there.</summary>
    public string? RoomName { get; init; }

    /// <summary>Whether the participant of an open conversation in <see cref="RoomName"/> gets another token for it.</summary>
    public bool MayRejoin { get; init; }

    /// <summary>Fields of the assistant's document to change for this conversation (RFC 7396); null: none.</summary>
    public string? OverridesJson { get; init; }

    /// <summary>JSON object that the agent's dispatch carries beside the session's id.</summary>
    public string? AgentMetadataJson { get; init; }

    /// <summary>Open the room even when no agent can come to it, and note why.</summary>
    public bool AgentIsOptional { get; init; }

    /// <summary>An agent that is not ours attends: none of our models and no place of ours is needed.</summary>
    public bool RunsElsewhere { get; init; }

    /// <summary>What is wrong with a room's name that a caller chose; null when nothing is.</summary>
    public static string? RefusalOfRoom(string name) =>
        !OfName().IsMatch(name) ? "must be 1 to 128 letters, digits, '_' or '-'."
        : ReservedPrefixes.FirstOrDefault(p => name.StartsWith(p, StringComparison.Ordinal)) is { } reserved ? $"must not begin with '{reserved}': such rooms are made by the platform."
        : null;

    private static readonly string[] ReservedPrefixes = ["agent_", "call-", "number-", "outbound-"];

    /// <summary>Names as all the seeds allow them: rooms, participants.</summary>
    [GeneratedRegex(@"^[A-Za-z0-9_-]{1,128}\z", RegexOptions.NonBacktracking)]
    public static partial Regex OfName();

    internal sealed class Validator : AbstractValidator<NewSession>
    {
        private const int MaxEntries = 100;
        private const int MaxJson = 16 * 1024;

        public Validator()
        {
            RuleFor(c => c.AssistantId).Must(id => Ids.IsWellFormed(id, Ids.Assistant)).WithMessage("'assistant_id' must be an assistant's id.");
            RuleFor(c => c.RoomName).Custom((name, context) =>
            {
                if (name is not null && RefusalOfRoom(name) is { } refusal)
                {
                    context.AddFailure($"'room_name' {refusal}");
                }
            });
            RuleFor(c => c.Participant!.Identity).Length(1, Session.IdentityMaxLength).Must(i => i is null || !i.Any(char.IsControl))
                .When(c => c.Participant?.Identity is not null).WithMessage($"'participant.identity' must be 1 to {Session.IdentityMaxLength} printable characters.");
            RuleFor(c => c.Participant!.Name).MaximumLength(200).When(c => c.Participant is not null);
            RuleFor(c => c.Participant!.Metadata).MaximumLength(MaxJson).When(c => c.Participant is not null);
            RuleFor(c => c.Participant!.Attributes).Must(a => a is null || (a.Count <= MaxEntries && a.All(p => p.Key.Length <= 128 && p.Value is { Length: <= 4096 })))
                .When(c => c.Participant is not null).WithMessage("'participant.attributes' may have 100 texts of 4096 characters.");
            RuleFor(c => c.Variables).Must(v => v is null || (v.Count <= MaxEntries && v.All(p => p.Key.Length <= 64 && p.Value is { Length: <= 4000 })))
                .WithMessage("'variables' may have 100 texts of 4000 characters.");
            RuleFor(c => c.Metadata).Must(m => m is null || (m.Value.ValueKind is JsonValueKind.Object && m.Value.GetRawText().Length <= MaxJson))
                .WithMessage("'metadata' must be an object of up to 16 KB.");
        }
    }
}

internal sealed record ParticipantSpec(string? Identity = null, string? Name = null, string? Metadata = null, IReadOnlyDictionary<string, string>? Attributes = null);

/// <summary>What a client needs to take part. Of a text session, what belongs to a room is null.</summary>
/// <param name="Identity">The participant's.</param>
/// <param name="Token">Opens the room for an hour.</param>
/// <param name="AgentName">What the assistant is called.</param>
/// <param name="AgentDispatched">Whether an agent was sent.</param>
internal sealed record StartedSession(
    string SessionId, string Identity, string? RoomName, string? Token, string? LivekitUrl, string AgentName, DateTimeOffset ExpiresAt, bool AgentDispatched);
