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
/// Holds the ledger against the conversations of a time: those that began in it, and those whose hold ended in it or is without an end, whenever they
/// began. Every finished one has its charge, every charge its conversation, every hold its end. Both sides are read in the order of the subjects' ids,
/// a page at a time.
/// </summary>
internal sealed class Reconciliation(UnitOfWork unit, IMediator mediator)
{
    private const int PageSize = 1000;
    private const int MaxListed = 1000;

    private const string HoldsSql =
        "SELECT h.subject_id, h.tenant_id, CASE WHEN h.status <> 'active' THEN billing.charged(h.tenant_id, h.subject_id, h.transaction_id) END FROM billing.holds h";

    /// <param name="found">Is given all differences, a page's at a time; the report lists the first thousand.</param>
    public async Task<Result<ReconciliationReport>> RunAsync(DateTimeOffset from, DateTimeOffset to, CancellationToken ct, Func<IReadOnlyList<Difference>, Task>? found = null)
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

                var (first, last) = (after, page.Value.Count < PageSize ? until : page.Value[^1].SubjectId);
                var looked = await LookAsync(
                    found, report, page.Value, () => ListAsync(prefix, first, last, int.MaxValue, ct), () => HoldsAsync("WHERE h.subject_id > $1 AND h.subject_id <= $2", ct, first, last));
                if (!looked.IsOk)
                {
                    return looked.Error;
                }

                (report, after) = (looked.Value, last);
            }
        }

        return await LookAtOlderAsync(found, report, ct);
    }

    /// <summary>Conversations that began before, and are over now or hold something: a call that was announced, a session that lasts.</summary>
    private async Task<Result<ReconciliationReport>> LookAtOlderAsync(Func<IReadOnlyList<Difference>, Task>? found, ReconciliationReport report, CancellationToken ct)
    {
        string[] subjects = [""];
        while ((subjects = await OlderAsync(report.From, report.To, subjects[^1], ct)).Length > 0)
        {
            var of = subjects;
            var conversations = await mediator.FindChargeablesAsync(of, ct);
            if (!conversations.IsOk)
            {
                return conversations.Error;
            }

            var looked = await LookAsync(found, report, conversations.Value, () => mediator.FindChargeablesAsync(of, ct), () => HoldsAsync("WHERE h.subject_id = ANY($1)", ct, (object)of));
            if (!looked.IsOk)
            {
                return looked.Error;
            }

            report = looked.Value;
        }

        return report;
    }

    /// <summary>Adds to the report what these conversations and their holds do not agree on.</summary>
    /// <param name="conversations">As they were read first.</param>
    private static async Task<Result<ReconciliationReport>> LookAsync(
        Func<IReadOnlyList<Difference>, Task>? found, ReconciliationReport report, IReadOnlyList<Chargeable> conversations,
        Func<Task<Result<IReadOnlyList<Chargeable>>>> readAgain, Func<Task<Dictionary<string, Held>>> readHolds)
    {
        var holds = await readHolds();
        var differences = Compare(conversations, holds);
        if (differences.Count > 0)
        {
            // Between the two readings a conversation may have begun or ended: what is wrong is so the second time too.
            var again = await readAgain();
            if (!again.IsOk)
            {
                return again.Error;
            }

            differences = [.. Compare(again.Value, await readHolds()).IntersectBy(differences.Select(d => (d.What, d.SubjectId)), d => (d.What, d.SubjectId))];
        }

        if (differences.Count > 0 && found is not null)
        {
            await found(differences);
        }

        return report with
        {
            Ok = report.Ok && differences.Count == 0,
            Conversations = report.Conversations + conversations.Count,
            Holds = report.Holds + holds.Count,
            DifferenceCount = report.DifferenceCount + differences.Count,
            Differences = [.. report.Differences, .. differences.Take(MaxListed - report.Differences.Count)],
        };
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

    /// <summary>The next page of holds that ended in the time, or were placed before its end and have no end, of subjects with ids of another time.</summary>
    private async Task<string[]> OlderAsync(DateTimeOffset from, DateTimeOffset to, string after, CancellationToken ct)
    {
        await using var query = new NpgsqlCommand(
            """
            SELECT h.subject_id FROM (
              SELECT subject_id FROM billing.holds WHERE ended_at >= $1 AND ended_at < $2
              UNION ALL
              SELECT subject_id FROM billing.holds WHERE ended_at IS NULL AND placed_at < $2) h
            WHERE h.subject_id > $3 AND NOT (h.subject_id > $4 AND h.subject_id <= $5) AND NOT (h.subject_id > $6 AND h.subject_id <= $7)
            ORDER BY h.subject_id LIMIT $8
            """, await unit.OpenAsync(ct), unit.Transaction);
        foreach (var value in new object[]
        {
            from, to, after, Ids.First(Ids.Call, from), Ids.First(Ids.Call, to), Ids.First(Ids.Session, from), Ids.First(Ids.Session, to), PageSize,
        })
        {
            query.Parameters.Add(new() { Value = value });
        }

        var subjects = new List<string>();
        await using var row = await query.ExecuteReaderAsync(ct);
        while (await row.ReadAsync(ct))
        {
            subjects.Add(row.GetString(0));
        }

        return [.. subjects];
    }

    private async Task<Dictionary<string, Held>> HoldsAsync(string which, CancellationToken ct, params object[] values)
    {
        await using var query = new NpgsqlCommand($"{HoldsSql} {which}", await unit.OpenAsync(ct), unit.Transaction);
        foreach (var value in values)
        {
            query.Parameters.Add(new() { Value = value });
        }

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
