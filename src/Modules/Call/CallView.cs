using System.Text.Json;
using VoicePlatform.Calls.Data;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Calls;

/// <summary>A call as the API and the events show it.</summary>
/// <param name="BillableS">Whole seconds that were charged.</param>
internal sealed record CallView(
    string Id, CallStatus Status, CallDirection Direction, string AssistantId, int AssistantVersion, string TrunkId, string FromNumber, string ToNumber, bool Test,
    DateTimeOffset CreatedAt, DateTimeOffset? ScheduleAt, DateTimeOffset? StartedAt, DateTimeOffset? AnsweredAt, DateTimeOffset? EndedAt,
    double? DurationS, long? BillableS, string? EndedReason, string? Cause, Fault? Fault, SipView? Sip, int Attempts, string? SessionId, string? RoomName,
    RecordingView? Recording, CostView? Cost, JsonElement Metadata, JsonElement Variables)
{
    /// <param name="recordingUrl">Where the recording is or will be; null where there is none.</param>
    public static CallView Of(Call c, string? recordingUrl) => new(
        c.Id, c.Status, c.Direction, c.AssistantId, c.AssistantVersion, c.TrunkId, c.FromNumber, c.ToNumber, c.IsTest,
        c.CreatedAt, c.ScheduleAt, c.StartedAt, c.AnsweredAt, c.EndedAt,
        c.DurationS, c.IsOver ? (long)Math.Ceiling(c.DurationS ?? 0) : null, c.EndedReason, c.Cause, c.Fault,
        c.SipStatusCode is null && c.SipReason is null ? null : new(c.SipStatusCode, c.SipReason), c.Dialed, c.SessionId, c.RoomName,
        recordingUrl is null ? null : new(recordingUrl, c.RecordingStatus, c.RecordingDurationMs is { } ms ? ms / 1000.0 : null, c.RecordingSize),
        c.Cost is { } cost ? new(cost, Credits.Unit, c.TransactionId, Json.Read<List<ChargeLine>>(c.CostLines ?? "[]")) : null,
        Json.Read<JsonElement>(c.Metadata), Json.Read<JsonElement>(c.Variables));
}

internal sealed record SipView(int? StatusCode, string? Reason);

internal sealed record RecordingView(string Url, RecordingStatus? Status, double? DurationS, long? Size);

/// <param name="Amount">Micro-credits.</param>
internal sealed record CostView(long Amount, string Unit, string? TransactionId, IReadOnlyList<ChargeLine> Lines);

/// <summary>One line of what was said, as api.md has it.</summary>
internal sealed record TranscriptLine(Speaker Speaker, string Text, DateTimeOffset StartedAt, DateTimeOffset EndedAt, bool Interrupted, int Turn)
{
    public static TranscriptLine Of(SpokenLine l) => new(l.Speaker, l.Text, l.StartedAt, l.EndedAt, l.Interrupted, l.Turn);
}
