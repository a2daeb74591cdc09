using Npgsql;
using NpgsqlTypes;

namespace VoicePlatform.Tenants.Events;

/// <summary>A delivery that this host holds the lease of.</summary>
/// <param name="Try">Which attempt this is since it was queued, from 1.</param>
/// <param name="PreviousSecret">Signs too, while a rotation's overlap lasts.</param>
/// <param name="IsGone">Its webhook was removed or disabled meanwhile.</param>
internal sealed record ClaimedDelivery(
    string Id, Guid Lease, string Lane, string TenantId, int Try, string EventId, byte[] Body, string Url, string? WebhookId, string? Signing, byte[]? Secret,
    byte[]? PreviousSecret, bool IsGone);

/// <summary>How an attempt went, and when there will be another (null: none).</summary>
internal sealed record AttemptResult(
    ClaimedDelivery Delivery, DateTimeOffset StartedAt, TimeSpan Took, int? Status, string? Error, string? Answer, bool IsDelivered, DateTimeOffset? NextAt);

/// <summary>The queue of deliveries in the database; its rules are in the functions of db/tenant/0010_delivery_queue.sql.</summary>
internal sealed class DeliveryQueue(NpgsqlDataSource source, TimeProvider clock)
{
    /// <summary>Longer than an attempt and noting it can take; what nobody noted by then is sent again.</summary>
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(60);

    /// <summary>Takes up to so many due deliveries of each lane.</summary>
    /// <returns>The claimed ones, and how many each lane had, those that wait for an earlier one of their subject included.</returns>
    public async Task<(IReadOnlyList<ClaimedDelivery> Claimed, IReadOnlyDictionary<string, int> Found)> ClaimAsync(IReadOnlyList<LanePlaces> plan, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        var lease = Guid.CreateVersion7(now);
        await using var claim = source.CreateCommand("SELECT * FROM tenant.claim_deliveries($1, $2, $3, $4, $5)");
        claim.Parameters.Add(new() { Value = now });
        claim.Parameters.Add(new() { Value = Lease });
        claim.Parameters.Add(new() { Value = lease });
        claim.Parameters.Add(new() { Value = plan.Select(p => p.Lane).ToArray() });
        claim.Parameters.Add(new() { Value = plan.Select(p => p.Places).ToArray() });
        var claimed = new List<ClaimedDelivery>();
        var found = new Dictionary<string, int>(StringComparer.Ordinal);
        await using var row = await claim.ExecuteReaderAsync(ct);
        while (await row.ReadAsync(ct))
        {
            var lane = row.GetString(0);
            found[lane] = found.GetValueOrDefault(lane) + 1;
            if (row.GetValue(5) is byte[] body)
            {
                claimed.Add(new(
                    row.GetString(2), lease, lane, row.GetString(1), row.GetInt32(3), row.GetString(4), body, row.GetString(6), row.GetValue(7) as string,
                    row.GetValue(8) as string, row.GetValue(9) as byte[], row.GetValue(10) as byte[], row.GetBoolean(11)));
            }
        }

        return (claimed, found);
    }

    /// <summary>The lanes that have something due: one look into the index for each lane, however long it is.</summary>
    public async Task<IReadOnlyList<DueLane>> FindDueAsync(CancellationToken ct)
    {
        await using var find = source.CreateCommand(
            """
            WITH RECURSIVE heads AS (
              (SELECT lane, tenant_id, due_at FROM tenant.delivery_queue ORDER BY lane, due_at LIMIT 1)
              UNION ALL
              SELECT next.* FROM heads CROSS JOIN LATERAL (
                SELECT q.lane, q.tenant_id, q.due_at FROM tenant.delivery_queue q WHERE q.lane > heads.lane ORDER BY q.lane, q.due_at LIMIT 1) next)
            SELECT lane, tenant_id FROM heads WHERE due_at <= $1
            """);
        find.Parameters.Add(new() { Value = clock.GetUtcNow() });
        return await LanesAsync(find, ct);
    }

    /// <returns>The lanes in which something that waited for a noted delivery is due now.</returns>
    public async Task<IReadOnlyList<DueLane>> NoteAsync(IReadOnlyList<AttemptResult> results, CancellationToken ct)
    {
        await using var note = source.CreateCommand("SELECT lane, tenant_id FROM tenant.note_deliveries($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)");
        note.Parameters.Add(new() { Value = clock.GetUtcNow() });
        Add(r => r.Delivery.Id, NpgsqlDbType.Text);
        Add(r => r.Delivery.Lease, NpgsqlDbType.Uuid);
        Add(r => r.StartedAt, NpgsqlDbType.TimestampTz);
        Add(r => (int)r.Took.TotalMilliseconds, NpgsqlDbType.Integer);
        Add(r => r.Status, NpgsqlDbType.Integer);
        Add(r => r.Error, NpgsqlDbType.Text);
        Add(r => r.Answer, NpgsqlDbType.Text);
        Add(r => r.IsDelivered ? "delivered" : r.NextAt is null ? "failed" : "pending", NpgsqlDbType.Text);
        Add(r => r.NextAt, NpgsqlDbType.TimestampTz);
        return await LanesAsync(note, ct);

        void Add<T>(Func<AttemptResult, T> value, NpgsqlDbType type) =>
            note.Parameters.Add(new() { Value = results.Select(value).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | type });
    }

    private static async Task<IReadOnlyList<DueLane>> LanesAsync(NpgsqlCommand query, CancellationToken ct)
    {
        var lanes = new List<DueLane>();
        await using var row = await query.ExecuteReaderAsync(ct);
        while (await row.ReadAsync(ct))
        {
            lanes.Add(new(row.GetString(0), row.GetString(1)));
        }

        return lanes;
    }
}
