using Dapper;
using Npgsql;

namespace VoicePlatform.Tenants.Events;

/// <summary>Queues what replays by range ask for, some hundred events a transaction, from where the last one ended, whichever host it was on.</summary>
internal sealed class Replayer(
    NpgsqlDataSource source, [FromKeyedServices(typeof(Replayer))] WakeUp wakeUp, DueLanes due, TimeProvider clock, ILogger<Replayer> log) : BackgroundLoop(PollInterval, clock, log, wakeUp)
{
    private const int Batch = 500;
    private static readonly TimeSpan PollInterval = TimeSpan.FromSeconds(5);

    /// <summary>
    /// The events of a replay, each with its delivery to the webhook where there is one: those that did not arrive (failed, or never sent because the
    /// webhook was disabled or not there yet), or all. What is on its way is not asked for again.
    /// </summary>
    public const string Wanted =
        """
        FROM tenant.events e
        JOIN tenant.webhooks w ON w.id = @WebhookId AND w.tenant_id = e.tenant_id
        LEFT JOIN tenant.deliveries d ON d.event_id = e.id AND d.webhook_id = w.id
        WHERE e.tenant_id = @TenantId AND e.id >= @First AND e.id < @Last
          AND (@EventTypes = '{}'::text[] OR e.type = ANY (@EventTypes) OR split_part(e.type, '.', 1) || '.*' = ANY (@EventTypes))
          AND CASE WHEN d.id IS NULL
            THEN e.type <> 'webhook.test' AND (w.event_types = '{}' OR w.event_types && ARRAY[e.type, split_part(e.type, '.', 1) || '.*'])
            ELSE d.status = 'failed' OR (d.status = 'delivered' AND NOT @OnlyFailed) END
        """;

    protected override async Task WorkAsync(CancellationToken ct)
    {
        while (await QueueSomeAsync(ct))
        {
        }
    }

    /// <returns>Whether there may be more to do.</returns>
    private async Task<bool> QueueSomeAsync(CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var replay = await connection.QueryFirstOrDefaultAsync<Replay>(new(
            """
            SELECT id, tenant_id, webhook_id, cursor AS first, last_event AS last, event_types, only_failed
            FROM tenant.replays ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
            """, transaction: transaction, cancellationToken: ct));
        if (replay is null)
        {
            return false;
        }

        var events = (await connection.QueryAsync<Past>(new(
            $"SELECT e.id, e.type, e.subject_id, e.sequence, e.data, e.created_at, e.is_test, d.id AS delivery_id {Wanted} ORDER BY e.id LIMIT {Batch}",
            replay, transaction, cancellationToken: ct))).ToList();
        await QueueAsync(connection, transaction, replay, events, ct);
        await connection.ExecuteAsync(events.Count < Batch
            ? new("DELETE FROM tenant.replays WHERE id = @Id", replay, transaction, cancellationToken: ct)
            : new("UPDATE tenant.replays SET cursor = @After WHERE id = @Id", new { replay.Id, After = events[^1].Id + "0" }, transaction, cancellationToken: ct));
        await transaction.CommitAsync(ct);
        due.Mark([new(replay.WebhookId, replay.TenantId)]);
        return true;
    }

    private async Task QueueAsync(NpgsqlConnection connection, NpgsqlTransaction transaction, Replay replay, List<Past> events, CancellationToken ct)
    {
        var now = Clock.GetUtcNow();
        var fresh = events.Where(e => e.DeliveryId is null).ToList();
        await using var queue = new NpgsqlCommand(
            """
            WITH again AS (
              UPDATE tenant.deliveries SET status = 'pending', completed_at = NULL WHERE id = ANY ($1) AND status <> 'pending'
              RETURNING id, subject_id, sequence),
            fresh AS (
              INSERT INTO tenant.deliveries (id, tenant_id, webhook_id, event_id, subject_id, sequence, body, status, created_at)
              SELECT f.id, $2, $3, f.event_id, f.subject_id, f.sequence, f.body, 'pending', $4
              FROM unnest($5::text[], $6::text[], $7::text[], $8::int[], $9::bytea[]) AS f(id, event_id, subject_id, sequence, body)
              ON CONFLICT (event_id, webhook_id) DO NOTHING
              RETURNING id, subject_id, sequence)
            INSERT INTO tenant.delivery_queue (delivery_id, tenant_id, lane, subject_id, sequence, due_at)
            SELECT id, $2, $3, subject_id, sequence, $4 FROM (SELECT * FROM again UNION ALL SELECT * FROM fresh) q
            ON CONFLICT (delivery_id) DO NOTHING
            """, connection, transaction);
        queue.Parameters.Add(new() { Value = events.Select(e => e.DeliveryId).OfType<string>().ToArray() });
        queue.Parameters.Add(new() { Value = replay.TenantId });
        queue.Parameters.Add(new() { Value = replay.WebhookId });
        queue.Parameters.Add(new() { Value = now });
        queue.Parameters.Add(new() { Value = fresh.Select(_ => Ids.New(Ids.Delivery, now)).ToArray() });
        queue.Parameters.Add(new() { Value = fresh.Select(e => e.Id).ToArray() });
        queue.Parameters.Add(new() { Value = fresh.Select(e => e.SubjectId).ToArray() });
        queue.Parameters.Add(new() { Value = fresh.Select(e => e.Sequence).ToArray() });
        queue.Parameters.Add(new() { Value = fresh.Select(e => EventLog.Body(e.Id, e.Type, e.CreatedAt, e.Sequence, e.SubjectId, e.IsTest, e.Data)).ToArray() });
        await queue.ExecuteNonQueryAsync(ct);
    }

    private sealed record Replay
    {
        public required string Id { get; init; }
        public required string TenantId { get; init; }
        public required string WebhookId { get; init; }
        public required string First { get; init; }
        public required string Last { get; init; }
        public required string[] EventTypes { get; init; }
        public bool OnlyFailed { get; init; }
    }

    private sealed record Past
    {
        public required string Id { get; init; }
        public required string Type { get; init; }
        public required string SubjectId { get; init; }
        public int Sequence { get; init; }
        public required string Data { get; init; }
        public DateTimeOffset CreatedAt { get; init; }
        public bool IsTest { get; init; }
        public string? DeliveryId { get; init; }
    }
}
