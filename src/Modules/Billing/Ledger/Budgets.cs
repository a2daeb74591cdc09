using Dapper;
using Npgsql;
using NpgsqlTypes;

namespace VoicePlatform.Billing.Ledger;

/// <summary>What a tenant lets itself spend. The ledger's functions hold to it; here it is read and replaced.</summary>
internal sealed class Budgets(UnitOfWork unit)
{
    public async Task<BudgetsAnswer> ReadAsync(string tenantId, CancellationToken ct)
    {
        // One statement, one snapshot: the revision is that of these budgets. By the database's clock, which also says on which day a hold is placed.
        var rows = (await (await unit.OpenAsync(ct)).QueryAsync<Row>(new(
            """
            SELECT h.budgets_revision AS revision, b.assistant_id, b.per, b.amount, s.charged, s.held
            FROM billing.heads h
            LEFT JOIN billing.budgets b ON b.tenant_id = h.tenant_id
            LEFT JOIN LATERAL billing.spent_of(b, (statement_timestamp() AT TIME ZONE 'UTC')::date) s ON b.per IS NOT NULL
            WHERE h.tenant_id = @tenantId ORDER BY b.assistant_id, b.per
            """, new { tenantId }, unit.Transaction, cancellationToken: ct))).ToList();
        var budgets = rows.Where(r => r.Per is not null).Select(r => new BudgetView(
            r.AssistantId is "" ? null : r.AssistantId, Words.Read<BudgetPeriod>(r.Per)!.Value, r.Amount, r.Charged, r.Held, Math.Max(r.Amount - r.Charged - r.Held, 0)));
        return new(new([.. budgets], Credits.Unit), rows.Count == 0 ? 0 : rows[0].Revision);
    }

    /// <summary>Replaces all of the tenant's budgets, in the running unit of work. Answers their new revision.</summary>
    public async Task<int> ReplaceAsync(string tenantId, IEnumerable<(string? AssistantId, BudgetPeriod Per, long Amount)> budgets, CancellationToken ct)
    {
        await using var set = new NpgsqlCommand("SELECT billing.set_budgets($1, $2)", unit.Connection, unit.Transaction);
        set.Parameters.Add(new() { Value = tenantId });
        set.Parameters.Add(new()
        {
            Value = Json.Write(budgets.Select(b => new { assistant_id = b.AssistantId, per = b.Per, amount = b.Amount })), NpgsqlDbType = NpgsqlDbType.Jsonb,
        });
        return (int)(await set.ExecuteScalarAsync(ct))!;
    }

    private sealed record Row
    {
        public int Revision { get; init; }
        public string? AssistantId { get; init; }
        public string? Per { get; init; }
        public long Amount { get; init; }
        public long Charged { get; init; }
        public long Held { get; init; }
    }
}
