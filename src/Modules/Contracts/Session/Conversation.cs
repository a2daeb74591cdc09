using System.Text.Json.Serialization;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.SharedKernel.Outbox;

namespace VoicePlatform.Contracts.Sessions;

/// <summary>Everything the agent needs to hold a conversation; it asks once and no more while audio flows.</summary>
/// <param name="Assistant">The pinned version, with its variables already in the prompt and greeting.</param>
/// <param name="ParticipantIdentity">The caller's identity in the room.</param>
/// <param name="Phone">The telephone call that carries it; null in a browser.</param>
public sealed record ConversationPlan(
    string SessionId,
    string TenantId,
    string RoomName,
    string ParticipantIdentity,
    AssistantDocument Assistant,
    IReadOnlyDictionary<string, string> Variables,
    TimeSpan MaxDuration,
    PhoneCall? Phone = null)
{
    public string AssistantId { get; init; } = "";

    /// <summary>How long it is paid for once the caller is there, before anything is reported; null: to its end.</summary>
    public TimeSpan? Covered { get; init; }

    /// <summary>What the assistant can do, as it was when the conversation began.</summary>
    public IReadOnlyList<ToolDocument> Tools { get; init; } = [];
}

/// <summary>The agent is in the room. Answers the plan; refused when the session is over or another worker runs it.</summary>
public sealed record AttendSession(string SessionId) : ICommand<ConversationPlan>;

/// <summary>What was said. <paramref name="Seq"/> counts from 1 in the session; telling a line twice changes nothing.</summary>
public sealed record SpokenLine(int Seq, int Turn, Speaker Speaker, string Text, DateTimeOffset StartedAt, DateTimeOffset EndedAt, bool Interrupted);

public enum Speaker { Agent, User }

/// <summary>Where the time of one answer went, in milliseconds; null where a stage did not happen.</summary>
/// <param name="EndpointingMs">The caller's last sound to the decision that the turn is over.</param>
/// <param name="TranscriptionMs">What the recogniser took after the caller's last sound, where it was waited for.</param>
/// <param name="FirstTokenMs">The decision to the model's first text.</param>
/// <param name="FirstAudioMs">The first sentence to its first audio.</param>
/// <param name="ResponseMs">The caller's last sound to the assistant's first.</param>
public sealed record TurnTiming(int Turn, int? EndpointingMs, int? TranscriptionMs, int? FirstTokenMs, int? FirstAudioMs, int? ResponseMs, bool Interrupted);

/// <summary>A running total of one thing used by one provider.</summary>
/// <param name="Component">As on the rate card: speech_to_text, text_to_speech, llm_input, llm_cached_input, llm_output, message.</param>
/// <param name="Quantity">What counts: what the provider reported, or where it did not (it never does, or was cut off), what the platform measured.</param>
public sealed record UsageTotal(string Component, string Provider, string Model, string Unit, long Quantity)
{
    /// <summary>The turn it was used for; 0: for the conversation as a whole; below 0: for an analysis after its end, -1 the first.</summary>
    public int Turn { get; init; }

    /// <summary>Generated ahead and thrown away, since the caller went on speaking: kept apart, and not charged.</summary>
    public bool Discarded { get; init; }

    /// <summary>By the tenant's own key at the provider, whom the tenant pays.</summary>
    public bool OwnKey { get; init; }

    /// <summary>As the provider says; null where it says nothing.</summary>
    public long? Reported { get; init; }

    /// <summary>As the platform finds by itself: characters and seconds exactly, tokens by their text (four characters each).</summary>
    public long Measured { get; init; } = Quantity;

    /// <summary>What is one running total.</summary>
    [JsonIgnore]
    public (int Turn, bool Discarded, string Component, string Provider, string Model, bool OwnKey) Key => (Turn, Discarded, Component, Provider, Model, OwnKey);

    /// <summary>Both together, as one total.</summary>
    public UsageTotal Plus(UsageTotal? other) => other is null ? this : this with
    {
        Quantity = Quantity + other.Quantity,
        Reported = Reported is null && other.Reported is null ? null : (Reported ?? 0) + (other.Reported ?? 0),
        Measured = Measured + other.Measured,
    };

    /// <summary>One total for each thing, where several steps used it.</summary>
    public static IReadOnlyList<UsageTotal> Summed(IEnumerable<UsageTotal> usage) =>
        usage.GroupBy(u => (u.Key, u.Unit)).Select(g => g.Aggregate((sum, u) => sum.Plus(u))).ToList();
}

/// <summary>Something worth knowing later: a provider failed, a variable was unknown, the caller interrupted.</summary>
public sealed record SessionNote(DateTimeOffset At, string Kind, string Detail);

/// <summary>
/// What happened since the last report, and that the conversation is still run. Answers how it
/// goes on: not, when the session has ended elsewhere or the tenant's credits do not cover the next slice.
/// </summary>
/// <param name="CallerPresent">The caller has been there: from the first such report on, the conversation counts as started.</param>
public sealed record ReportProgress(
    string SessionId,
    IReadOnlyList<SpokenLine> Lines,
    IReadOnlyList<TurnTiming> Turns,
    IReadOnlyList<UsageTotal> Usage,
    IReadOnlyList<SessionNote> Notes,
    bool CallerPresent) : IRequest<Result<ReportAnswer>>
{
    /// <summary>The time it is of, where it is told late: after the conversation's end, its end. Null: now.</summary>
    public DateTimeOffset? At { get; init; }
}

/// <param name="Covered">
/// How much longer the conversation is paid for, counted from when the report was sent (the clocks of two machines do not matter); null: to its end. Without
/// another answer it must be over by then.
/// </param>
public sealed record ReportAnswer(Continuation Continuation, TimeSpan? Covered = null);

public enum Continuation { GoOn, Ended, OutOfCredits }

/// <summary>What those who hold conversations and those who charge for them agree on.</summary>
public static class ConversationTimes
{
    /// <summary>How often whoever runs a conversation reports on it.</summary>
    public static readonly TimeSpan ReportInterval = TimeSpan.FromSeconds(5);

    /// <summary>How long a goodbye may take: a conversation ends at most this much after its limit, and one that is paid for no longer says it this much before.</summary>
    public static readonly TimeSpan Goodbye = TimeSpan.FromSeconds(10);
}

/// <summary>
/// Ends a session exactly once: state, usage, charge, hold, event, in one transaction. Asking again changes nothing. A conversation by voice is charged
/// until <see cref="EndedAt"/>, and never for more than a report's interval after the last report, nor beyond its longest duration and a goodbye.
/// </summary>
/// <param name="Reason">One of <see cref="EndReasons"/>.</param>
public sealed record FinishSession(string SessionId, string Reason) : ICommand<Done>
{
    /// <summary>When the conversation was over, as whoever held or saw it knows; null: now.</summary>
    public DateTimeOffset? EndedAt { get; init; }
}

/// <summary>Why a conversation ended; public vocabulary, never renamed.</summary>
public static class EndReasons
{
    public const string CallerLeft = "caller_left";

    /// <summary>The telephone's line broke: no sound came any more, or its exchange is gone. Nobody hung up.</summary>
    public const string LineLost = "line_lost";
    public const string AssistantEnded = "assistant_ended";
    public const string Requested = "requested";
    public const string MaxDuration = "max_duration";
    public const string Idle = "idle";
    public const string OutOfCredits = "out_of_credits";
    public const string NeverStarted = "never_started";
    public const string AgentFailed = "agent_failed";

    /// <summary>Nobody reported on it any more: the process that ran it died.</summary>
    public const string AgentLost = "agent_lost";
    public const string Shutdown = "shutdown";

    /// <summary>A machine answered, and was treated as the call asks.</summary>
    public const string Voicemail = "voicemail";

    /// <summary>The caller was handed over to somebody else.</summary>
    public const string Transferred = "transferred";
}

/// <summary>A session has ended and is charged. What is left to do is outside the database: its room is closed.</summary>
public sealed record SessionEnded(string SessionId, string TenantId, string RoomName, string Reason) : IIntegrationEvent
{
    public static string Name => "session.ended.v1";
}

/// <summary>What was said in a telephone conversation is removed, because its time is over: so is its recording to be.</summary>
public sealed record PhoneSessionForgotten(string SessionId, string CallId) : IIntegrationEvent
{
    public static string Name => "session.phone_forgotten.v1";
}

