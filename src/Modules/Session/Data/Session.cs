using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Sessions.Data;

internal enum SessionStatus { Created, Active, Ended }

internal sealed class Session
{
    public const int IdentityMaxLength = 128;

    public string Id { get; private init; } = "";
    public string TenantId { get; private init; } = "";
    public string AssistantId { get; private init; } = "";
    public int AssistantVersion { get; private init; }
    public string RoomName { get; private init; } = "";
    public string ParticipantIdentity { get; private init; } = "";
    public bool TextOnly { get; private init; }
    public bool IsTest { get; private init; }
    public SessionStatus Status { get; private set; }

    /// <summary>JSON object of texts.</summary>
    public string Variables { get; private init; } = "{}";

    /// <summary>JSON object, as the tenant gave it.</summary>
    public string Metadata { get; private init; } = "{}";
    public int MaxDurationS { get; private init; }
    public DateTimeOffset CreatedAt { get; private init; }
    public DateTimeOffset? StartedAt { get; private set; }
    public DateTimeOffset? EndedAt { get; private set; }
    public string? EndedReason { get; private set; }
    public DateTimeOffset? BusyUntil { get; set; }

    /// <summary>When whoever runs it last said so.</summary>
    public DateTimeOffset LastSeenAt { get; private set; }

    /// <summary>Micro-credits; once ended.</summary>
    public long? Cost { get; private set; }

    /// <summary>Whose hold pays: the session's own, or the call's.</summary>
    public string HoldSubject { get; private init; } = "";
    public string? CallId { get; private init; }

    /// <summary>A <see cref="PhoneCall"/> as JSON.</summary>
    public string? Phone { get; private init; }

    /// <summary>What differs from the pinned version, as a merge patch; null: nothing.</summary>
    public string? Overrides { get; private init; }

    /// <summary>What is to be found out about it when it is over, as <see cref="AnalysisSettings"/>; null: nothing.</summary>
    public string? Analysis { get; private init; }
    public bool IsRecorded { get; private init; }

    /// <summary>Days after its end for which what was said is kept; null: for good.</summary>
    public int? RetentionDays { get; private init; }

    /// <summary>When what was said is to be removed; null: not known yet, or never.</summary>
    public DateTimeOffset? ForgetAt { get; private set; }

    /// <summary>When what was said was removed.</summary>
    public DateTimeOffset? ForgottenAt { get; private set; }

    /// <summary>An agent that is not ours attends it, which reports nothing: its room is watched instead.</summary>
    public bool RunsElsewhere { get; private set; }

    /// <summary>Longer than this it is not held, and not charged.</summary>
    public TimeSpan Longest => LongestOf(MaxDurationS);

    public static TimeSpan LongestOf(int maxDurationS) => TimeSpan.FromSeconds(maxDurationS) + ConversationTimes.Goodbye;

    public PhoneCall? PhoneCall => Phone is null ? null : Json.Read<PhoneCall>(Phone);

    public Channel Channel => new(TextOnly, PhoneCall?.Direction, IsRecorded, PhoneCall?.ToNumber);

    public static Session Open(Caller caller, NewSession start, AssistantVersion assistant, string identity, DateTimeOffset now)
    {
        var id = Ids.New(Ids.Session, now);
        return new()
        {
            Id = id,
            HoldSubject = id,
            TenantId = caller.TenantId,
            AssistantId = assistant.AssistantId,
            AssistantVersion = assistant.Version,
            RoomName = start.RoomName ?? (start.TextOnly ? id : $"agent_{assistant.AssistantId}_{identity}_{now.ToUnixTimeMilliseconds()}"),
            ParticipantIdentity = identity,
            TextOnly = start.TextOnly,
            IsTest = caller.IsTest,
            RunsElsewhere = start.RunsElsewhere,
            Status = start.TextOnly ? SessionStatus.Active : SessionStatus.Created,
            Variables = Json.Write(start.Variables ?? new Dictionary<string, string>()),
            Metadata = start.Metadata?.GetRawText() ?? "{}",
            Overrides = start.OverridesJson,
            Analysis = AnalysisOf(assistant.Document),
            RetentionDays = assistant.Document.RetentionDays,
            MaxDurationS = assistant.Document.Limits.MaxDurationS,
            CreatedAt = now,
            StartedAt = start.TextOnly ? now : null,
            LastSeenAt = now,
        };
    }

    public static Session OpenPhone(OpenPhoneSession open, AssistantVersion assistant, DateTimeOffset now) => new()
    {
        Id = Ids.New(Ids.Session, now),
        TenantId = open.TenantId,
        AssistantId = open.AssistantId,
        AssistantVersion = assistant.Version,
        RoomName = open.RoomName,
        ParticipantIdentity = open.ParticipantIdentity,
        IsTest = open.IsTest,
        Status = SessionStatus.Created,
        Variables = Json.Write(open.Variables),
        Metadata = open.MetadataJson,
        MaxDurationS = open.MaxDurationS ?? assistant.Document.Limits.MaxDurationS,
        CreatedAt = now,
        LastSeenAt = now,
        HoldSubject = open.Phone.CallId,
        CallId = open.Phone.CallId,
        Phone = Json.Write(open.Phone),
        Overrides = open.OverridesJson,
        Analysis = AnalysisOf(assistant.Document),
        RetentionDays = assistant.Document.RetentionDays,
        IsRecorded = open.IsRecorded,
    };

    /// <summary>The caller is there. False when that was known, or when it is too late.</summary>
    public bool Start(DateTimeOffset now)
    {
        if (Status is not SessionStatus.Created)
        {
            return false;
        }

        (Status, StartedAt, LastSeenAt) = (SessionStatus.Active, now, now);
        return true;
    }

    /// <summary>The agent is in the room. Again is harmless: a worker that lost its connection comes back.</summary>
    public Error? Attend(DateTimeOffset now)
    {
        if (Status is SessionStatus.Ended)
        {
            return SessionErrors.AlreadyEnded;
        }

        LastSeenAt = now;
        return null;
    }

    /// <summary>An agent of ours takes it over. False when one runs it already.</summary>
    public bool TakeOver(DateTimeOffset now)
    {
        if (!RunsElsewhere)
        {
            return false;
        }

        (RunsElsewhere, LastSeenAt) = (false, now);
        return true;
    }

    /// <summary>
    /// When it is over, if it ends now. Text is charged by the message: it ends when that is noticed. A voice is charged by the second: what nobody
    /// reported on did not happen, beyond the time until the next report, which need not have come yet; when none came for long, not even that.
    /// </summary>
    /// <param name="told">By whoever knows.</param>
    public DateTimeOffset EndsAt(string reason, DateTimeOffset? told, DateTimeOffset now)
    {
        if (TextOnly || StartedAt is not { } startedAt)
        {
            return now;
        }

        var seen = reason is EndReasons.AgentLost ? LastSeenAt : LastSeenAt + ConversationTimes.ReportInterval;
        var ended = new[] { now, told ?? now, seen, startedAt + Longest }.Min();
        return ended > startedAt ? ended : startedAt;
    }

    /// <summary>False when it had ended already.</summary>
    public bool End(string reason, long cost, DateTimeOffset endedAt)
    {
        if (Status is SessionStatus.Ended)
        {
            return false;
        }

        (Status, EndedReason, Cost, EndedAt) = (SessionStatus.Ended, reason, cost, endedAt);

        // In an attempt to reach somebody that nobody answered nothing was said; the call goes on, and keeps what it has until its conversation's time is over.
        ForgetAt = RetentionDays is { } days && (StartedAt is not null || CallId is null) ? endedAt.AddDays(days) : null;
        return true;
    }

    /// <summary>With the model that makes it; null: none is made.</summary>
    public static string? AnalysisOf(AssistantDocument document) =>
        document.Analysis is { } analysis ? Json.Write(analysis with { Llm = analysis.Llm ?? document.Llm }) : null;
}
