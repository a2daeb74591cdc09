using System.Text.Json;
using Dapper;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Analysis;

/// <summary>What was found out about conversations, and the queue of what is to be.</summary>
internal static class Analyses
{
    // What is asked of the model beside the conversation, and what it answers, both generously.
    private const int FormTokens = 1_500;
    private const int AnswerTokens = 1_000;
    private const int MostTries = 2;

    /// <summary>Whose hold pays for a run until its use is charged.</summary>
    public static string HoldSubject(string sessionId, int run) => $"analysis:{sessionId}:{run}";

    public static PlaceHold Hold(string tenantId, string sessionId, string assistantId, int run, IReadOnlyList<StoredLine> lines) => new(
        tenantId, HoldSubject(sessionId, run), assistantId,
        [
            new("llm_input", "token", MostTries * (FormTokens + (lines.Sum(l => (long)l.Text.Length) / 3))),
            new("llm_output", "token", MostTries * AnswerTokens),
        ]);

    /// <summary>Puts a conversation into the queue. Answers which run it is; null when it is in it already.</summary>
    /// <param name="settingsJson">As <see cref="Contracts.Assistants.AnalysisSettings"/>, with the model.</param>
    public static async Task<int?> QueueAsync(this UnitOfWork unit, string sessionId, string tenantId, string settingsJson, DateTimeOffset now, CancellationToken ct) =>
        await (await unit.OpenAsync(ct)).ExecuteScalarAsync<int?>(new(
            """
            INSERT INTO session.analyses AS a (session_id, tenant_id, run, settings, status, asked_at, attempts, next_attempt_at, fields)
            VALUES (@sessionId, @tenantId, 1, @settingsJson::jsonb, 'pending', @now, 0, @now, '{}')
            ON CONFLICT (session_id) DO UPDATE SET
              run = a.run + 1, settings = excluded.settings, status = 'pending', asked_at = @now, attempts = 0, next_attempt_at = @now, leased_until = NULL,
              ended_at = NULL, model = NULL, summary = NULL, success = NULL, success_reason = NULL, fields = '{}', error = NULL
            WHERE a.status <> 'pending'
            RETURNING run
            """,
            new { sessionId, tenantId, settingsJson, now }, unit.Transaction, cancellationToken: ct));

    /// <summary>Null where none was asked for.</summary>
    public static async Task<ConversationAnalysis?> AnalysisAsync(this UnitOfWork unit, string sessionId, CancellationToken ct) =>
        (await (await unit.OpenAsync(ct)).QuerySingleOrDefaultAsync<Row>(new(
            "SELECT status, summary, success, success_reason, fields::text, model, asked_at, ended_at, error FROM session.analyses WHERE session_id = @sessionId",
            new { sessionId }, unit.Transaction, cancellationToken: ct)))?.ToAnalysis();

    private sealed record Row
    {
        public required string Status { get; init; }
        public string? Summary { get; init; }
        public bool? Success { get; init; }
        public string? SuccessReason { get; init; }
        public required string Fields { get; init; }
        public string? Model { get; init; }
        public DateTimeOffset AskedAt { get; init; }
        public DateTimeOffset? EndedAt { get; init; }
        public string? Error { get; init; }

        public ConversationAnalysis ToAnalysis() => new(
            Enum.Parse<AnalysisStatus>(Status, ignoreCase: true), Summary, Success, SuccessReason, Json.Read<Dictionary<string, JsonElement>>(Fields), Model, AskedAt, EndedAt, Error);
    }
}
