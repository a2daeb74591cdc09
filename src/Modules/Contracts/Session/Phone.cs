using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Contracts.Sessions;

public enum CallDirection { Outbound, Inbound }

/// <summary>The telephone call behind a conversation. Numbers are E.164.</summary>
/// <param name="FromNumber">Empty when the caller withholds it.</param>
public sealed record PhoneCall(string CallId, CallDirection Direction, string FromNumber, string ToNumber, VoicemailSettings Voicemail);

/// <summary>Reserves the credits with which a telephone conversation begins. The hold's subject is the call. Refused with payment_required.</summary>
/// <param name="Number">That is called, in E.164: the callee's, or the tenant's own.</param>
/// <param name="IsRecorded">Recording is priced too.</param>
/// <param name="MaxDurationS">The conversation's limit: no more time than that, and a goodbye, is held.</param>
public sealed record HoldForCall(string TenantId, string CallId, string AssistantId, CallDirection Direction, string Number, bool IsRecorded, int MaxDurationS) : ICommand<Done>;

/// <summary>
/// Opens the conversation of a telephone call, whose hold is placed already. Refused when the assistant is gone, its models are not
/// there, or no agent is free (unavailable).
/// </summary>
/// <param name="Version">Null: the current one.</param>
/// <param name="OverridesJson">Fields of the assistant's document to change for this call (RFC 7396).</param>
/// <param name="RoomName">Never one that a session has had.</param>
/// <param name="MetadataJson">A JSON object.</param>
/// <param name="MaxDurationS">Null: the assistant's limit.</param>
public sealed record OpenPhoneSession(
    string TenantId,
    string AssistantId,
    int? Version,
    string? OverridesJson,
    string RoomName,
    string ParticipantIdentity,
    IReadOnlyDictionary<string, string> Variables,
    string MetadataJson,
    int? MaxDurationS,
    bool IsTest,
    bool IsRecorded,
    PhoneCall Phone) : ICommand<PhoneSession>;

/// <param name="AgentName">For the dispatch, with metadata {"session_id": …}.</param>
public sealed record PhoneSession(string SessionId, string AgentName, int AssistantVersion);

public enum PhoneState { Dialing, Ringing, Answered }

/// <summary>How far the telephone got, from whoever learns of it first. Telling it twice, or late, changes nothing; answered starts the conversation, and is refused when that ended before it began.</summary>
public sealed record ReportPhoneState(string SessionId, PhoneState State) : ICommand<Done>;

/// <summary>The other side's telephone rings. Published inside the transaction that notes it.</summary>
public sealed record PhoneSessionRinging(string SessionId, string CallId, DateTimeOffset At) : INotification;

/// <summary>The call was answered: from now on it costs. Published inside the transaction that notes it, once.</summary>
public sealed record PhoneSessionStarted(string SessionId, string CallId, DateTimeOffset At) : INotification;

/// <summary>
/// The conversation of a call is over. Published inside the transaction that ends it, once. When it was never answered
/// (<paramref name="StartedAt"/> is null) the call's hold is untouched: what becomes of it is for the call to say.
/// </summary>
/// <param name="Reason">One of <see cref="EndReasons"/>.</param>
public sealed record PhoneSessionEnded(
    string SessionId,
    string CallId,
    string Reason,
    DateTimeOffset? StartedAt,
    DateTimeOffset EndedAt,
    Charge Charge,
    IReadOnlyList<SpokenLine> Transcript,
    IReadOnlyList<UsageTotal> Usage) : INotification;

/// <summary>
/// More use of a call became known after its end, and was charged. Published inside the transaction that charges it.
/// </summary>
public sealed record PhoneSessionAdjusted(string SessionId, string CallId, Charge Charge) : INotification;

/// <summary>What was said so far, what was noted, and what it used.</summary>
public sealed record ReadSession(string SessionId) : IRequest<Result<SessionRecord>>;

public sealed record SessionRecord(IReadOnlyList<SpokenLine> Transcript, IReadOnlyList<UsageTotal> Usage, IReadOnlyList<SessionNote> Notes);
