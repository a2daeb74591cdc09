using Dapper;

namespace VoicePlatform.Tenants;

/// <summary>An event on its way to one receiver, and how each attempt went.</summary>
/// <param name="WebhookId">Null where it goes to a URL that belongs to a call or an assistant.</param>
internal sealed record DeliveryView(
    string Id, string EventId, string EventType, string SubjectId, int Sequence, string? WebhookId, string? Url, DeliveryStatus Status, int Attempts,
    DateTimeOffset CreatedAt, DateTimeOffset? CompletedAt, DateTimeOffset? NextAttemptAt, IReadOnlyList<AttemptView> Log)
{
    /// <summary>Deliveries d of the tenant that fulfil the condition, newest first.</summary>
    public static async Task<List<DeliveryView>> ReadAsync(UnitOfWork unit, string condition, object parameters, CancellationToken ct)
    {
        var rows = await (await unit.OpenAsync(ct)).QueryAsync<Row>(new(
            $"""
            SELECT d.id, d.event_id, e.type AS event_type, d.subject_id, d.sequence, d.webhook_id, d.url, d.status, d.attempts, d.created_at, d.completed_at,
              q.due_at AS next_attempt_at,
              coalesce((SELECT jsonb_agg(jsonb_build_object('number', a.attempt, 'started_at', a.started_at, 'duration_ms', a.duration_ms,
                'status_code', a.status_code, 'error', a.error, 'answer', a.answer) ORDER BY a.attempt) FROM tenant.delivery_attempts a WHERE a.delivery_id = d.id), '[]')::text AS log
            FROM tenant.deliveries d JOIN tenant.events e ON e.id = d.event_id LEFT JOIN tenant.delivery_queue q ON q.delivery_id = d.id
            WHERE {condition}
            """,
            parameters,
            cancellationToken: ct));
        return rows.Select(r => new DeliveryView(
            r.Id, r.EventId, r.EventType, r.SubjectId, r.Sequence, r.WebhookId, r.Url, Enum.Parse<DeliveryStatus>(r.Status, ignoreCase: true), r.Attempts, r.CreatedAt, r.CompletedAt,
            r.NextAttemptAt, Json.Read<List<AttemptView>>(r.Log))).ToList();
    }

    private sealed record Row
    {
        public required string Id { get; init; }
        public required string EventId { get; init; }
        public required string EventType { get; init; }
        public required string SubjectId { get; init; }
        public int Sequence { get; init; }
        public string? WebhookId { get; init; }
        public string? Url { get; init; }
        public required string Status { get; init; }
        public int Attempts { get; init; }
        public DateTimeOffset CreatedAt { get; init; }
        public DateTimeOffset? CompletedAt { get; init; }
        public DateTimeOffset? NextAttemptAt { get; init; }
        public required string Log { get; init; }
    }
}

internal enum DeliveryStatus { Pending, Delivered, Failed }

/// <param name="Error">Why there was no answer, or why it does not count.</param>
/// <param name="Answer">The first 500 characters of it.</param>
internal sealed record AttemptView(int Number, DateTimeOffset StartedAt, int DurationMs, int? StatusCode, string? Error, string? Answer);
