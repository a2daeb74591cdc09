using System.Text.Json;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions;

/// <summary>A session as the API shows it.</summary>
/// <param name="Cost">Micro-credits, once ended.</param>
/// <param name="ForgottenAt">When transcript, events, analysis and recording were removed (retention_days of its assistant).</param>
internal sealed record SessionView(
    string Id, SessionStatus Status, string AssistantId, int AssistantVersion, string? RoomName, string ParticipantIdentity, bool TextOnly, bool Test,
    DateTimeOffset CreatedAt, DateTimeOffset? StartedAt, DateTimeOffset? EndedAt, double? DurationS, string? EndedReason, long? Cost, string Unit,
    JsonElement Variables, JsonElement Metadata, string? CallId, DateTimeOffset? ForgottenAt)
{
    public static SessionView Of(Session s) => new(
        s.Id, s.Status, s.AssistantId, s.AssistantVersion, s.TextOnly ? null : s.RoomName, s.ParticipantIdentity, s.TextOnly, s.IsTest,
        s.CreatedAt, s.StartedAt, s.EndedAt, s.StartedAt is { } from && s.EndedAt is { } to ? Math.Round((to - from).TotalSeconds, 3) : null,
        s.EndedReason, s.Cost, Credits.Unit, Json.Read<JsonElement>(s.Variables), Json.Read<JsonElement>(s.Metadata), s.CallId, s.ForgottenAt);
}
