using Dapper;

namespace VoicePlatform.Tenants.Features;

/// <summary>What was sent to a webhook, and how each attempt went; newest first.</summary>
internal static class ListDeliveries
{
    public static void Map(RouteGroupBuilder webhooks) => webhooks
        .MapGet("/{id}/deliveries", async (string id, int? limit, string? starting_after, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id, new(limit, starting_after)), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(ListDeliveries))
        .Produces<Page<Delivery>>();

    public sealed record Query(string TenantId, string WebhookId, PageQuery Page) : IRequest<Result<Page<Delivery>>>;

    public sealed record Delivery(
        string Id, string EventId, string Status, int Attempts, DateTimeOffset CreatedAt, DateTimeOffset? CompletedAt, DateTimeOffset? NextAttemptAt,
        IReadOnlyList<Attempt> Log);

    public sealed record Attempt(int Number, DateTimeOffset StartedAt, int DurationMs, int? StatusCode, string? Error);

    internal sealed class Handler(UnitOfWork unit) : IRequestHandler<Query, Result<Page<Delivery>>>
    {
        public async Task<Result<Page<Delivery>>> Handle(Query request, CancellationToken cancellationToken)
        {
            if (request.Page.Refusal is { } refusal)
            {
                return refusal;
            }

            var connection = await unit.OpenAsync(cancellationToken);
            var known = await connection.ExecuteScalarAsync<bool>(new(
                "SELECT EXISTS (SELECT FROM tenant.webhooks WHERE id = @WebhookId AND tenant_id = @TenantId)", request, cancellationToken: cancellationToken));
            if (!known)
            {
                return TenantErrors.WebhookNotFound;
            }

            var rows = await connection.QueryAsync<Row>(new(
                """
                SELECT d.id, d.event_id, d.status, d.attempts, d.created_at, d.completed_at, CASE WHEN d.status = 'pending' THEN d.next_attempt_at END AS next_attempt_at,
                  coalesce((SELECT jsonb_agg(jsonb_build_object('number', a.attempt, 'started_at', a.started_at, 'duration_ms', a.duration_ms,
                    'status_code', a.status_code, 'error', a.error) ORDER BY a.attempt) FROM tenant.delivery_attempts a WHERE a.delivery_id = d.id), '[]')::text AS log
                FROM tenant.deliveries d
                WHERE d.webhook_id = @WebhookId AND (@After IS NULL OR d.id < @After)
                ORDER BY d.id DESC LIMIT @Rows
                """,
                new { request.WebhookId, After = request.Page.StartingAfter, Rows = request.Page.Rows + 1 },
                cancellationToken: cancellationToken));
            return Page<Delivery>.Of(
                rows.Select(r => new Delivery(r.Id, r.EventId, r.Status, r.Attempts, r.CreatedAt, r.CompletedAt, r.NextAttemptAt, Json.Read<List<Attempt>>(r.Log))).ToList(),
                request.Page.Rows,
                d => d.Id);
        }

        private sealed record Row
        {
            public required string Id { get; init; }
            public required string EventId { get; init; }
            public required string Status { get; init; }
            public int Attempts { get; init; }
            public DateTimeOffset CreatedAt { get; init; }
            public DateTimeOffset? CompletedAt { get; init; }
            public DateTimeOffset? NextAttemptAt { get; init; }
            public required string Log { get; init; }
        }
    }
}
