using Npgsql;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Billing.Ledger;

/// <summary>Where the ledger and the owners of conversations tell different stories.</summary>
/// <param name="What">
/// no_charge: it has begun and is over, and nothing was ever held or charged. hold_open: it is over and its credits are still reserved.
/// ended_early: it goes on and its hold is over. cost_differs: it was charged something else than it says it cost.
/// no_conversation: credits are held for what nobody knows, or were charged.
/// hold_expired: they were, or their conversation was over, until time gave them back. charge_cut: what was used costs more than a posting carries.
/// </param>
/// <param name="Charged">By the ledger, in micro-credits; null: nothing yet.</param>
/// <param name="Cost">By the conversation's owner, in micro-credits; null: not known.</param>
internal sealed record Difference(string What, string SubjectId, string TenantId, long? Charged, long? Cost);

/// <param name="DifferenceCount">All of them; the first thousand are listed.</param>
internal sealed record ReconciliationReport(
    bool Ok, DateTimeOffset From, DateTimeOffset To, long Conversations, long Holds, long DifferenceCount, string Unit, IReadOnlyList<Difference> Differences);

/// <summary>
/// Holds the ledger against the conversations that began in a time: every finished one has its charge, every charge its conversation, every hold
/// its end. Both sides are read in the order of the subjects' ids, which is that of time, a page at a time.
/// </summary>
internal sealed class Reconciliation(UnitOfWork unit, IMediator mediator)
{
    private const int PageSize = 1000;
    private const int MaxListed = 1000;

    public async Task<Result<ReconciliationReport>> RunAsync(DateTimeOffset from, DateTimeOffset to, CancellationToken ct)
    {
        var report = new ReconciliationReport(true, from, to, 0, 0, 0, Credits.Unit, []);
        foreach (var prefix in new[] { Ids.Call, Ids.Session })
        {
            var until = Ids.First(prefix, to);
            for (var after = Ids.First(prefix, from); after != until;)
            {
                var page = await ListAsync(prefix, after, until, PageSize, ct);
                if (!page.IsOk)
                {
                    return page.Error;
                }

                var last = page.Value.Count < PageSize ? until : page.Value[^1].SubjectId;
                var holds = await HoldsAsync(after, last, ct);
                var differences = Compare(page.Value, holds);
                if (differences.Count > 0)
                {
                    // Between the two readings a conversation may have begun or ended: what is wrong is so the second time too.
                    var again = await ListAsync(prefix, after, last, int.MaxValue, ct);
                    if (!again.IsOk)
                    {
                        return again.Error;
                    }

                    differences = [.. Compare(again.Value, await HoldsAsync(after, last, ct)).IntersectBy(differences.Select(d => (d.What, d.SubjectId)), d => (d.What, d.SubjectId))];
                }

                report = report with
                {
                    Ok = report.Ok && differences.Count == 0,
                    Conversations = report.Conversations + page.Value.Count,
                    Holds = report.Holds + holds.Count,
                    DifferenceCount = report.DifferenceCount + differences.Count,
                    Differences = [.. report.Differences, .. differences.Take(MaxListed - report.Differences.Count)],
                };
                after = last;
            }
        }

        return report;
    }

    private Task<Result<IReadOnlyList<Chargeable>>> ListAsync(string prefix, string after, string until, int limit, CancellationToken ct) =>
        prefix == Ids.Call ? mediator.Send(new ListChargeableCalls(after, until, limit), ct) : mediator.Send(new ListChargeableSessions(after, until, limit), ct);

    private static List<Difference> Compare(IReadOnlyList<Chargeable> conversations, Dictionary<string, Held> holds)
    {
        var known = conversations.Select(c => c.SubjectId).ToHashSet(StringComparer.Ordinal);
        var found = holds.Where(h => h.Value.Charged is not 0 && !known.Contains(h.Key)).Select(h => new Difference("no_conversation", h.Key, h.Value.TenantId, h.Value.Charged, null)).ToList();
        foreach (var c in conversations)
        {
            var held = holds.GetValueOrDefault(c.SubjectId);
            var what = held switch
            {
                null => c is { HasBegun: true, IsOver: true } ? "no_charge" : null,
                { Charged: null } => c.IsOver ? "hold_open" : null,
                _ when !c.IsOver => "ended_early",
                _ => held.Charged != (c.Cost ?? 0) ? "cost_differs" : null,
            };
            if (what is not null)
            {
                found.Add(new(what, c.SubjectId, c.TenantId, held?.Charged, c.Cost));
            }
        }

        return found;
    }

    private async Task<Dictionary<string, Held>> HoldsAsync(string after, string until, CancellationToken ct)
    {
        await using var query = new NpgsqlCommand(
            """
            SELECT h.subject_id, h.tenant_id, CASE WHEN h.status <> 'active' THEN
              coalesce((SELECT sum(e.amount) FROM billing.entries e WHERE e.account = 'platform:revenue' AND (e.transaction_id = h.transaction_id OR e.transaction_id IN (
                SELECT t.id FROM billing.transactions t WHERE t.kind = 'adjustment' AND t.metadata->>'subject_id' = h.subject_id AND t.tenant_id = h.tenant_id))), 0)::bigint END
            FROM billing.holds h WHERE h.subject_id > $1 AND h.subject_id <= $2
            """, await unit.OpenAsync(ct), unit.Transaction);
        query.Parameters.Add(new() { Value = after });
        query.Parameters.Add(new() { Value = until });
        var holds = new Dictionary<string, Held>(StringComparer.Ordinal);
        await using var row = await query.ExecuteReaderAsync(ct);
        while (await row.ReadAsync(ct))
        {
            holds[row.GetString(0)] = new(row.GetString(1), row.IsDBNull(2) ? null : row.GetInt64(2));
        }

        return holds;
    }

    /// <param name="Charged">Null while the hold is active.</param>
    private sealed record Held(string TenantId, long? Charged);
}
