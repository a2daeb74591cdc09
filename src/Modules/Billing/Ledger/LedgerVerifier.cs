using System.Data;
using System.Runtime.CompilerServices;
using Npgsql;

namespace VoicePlatform.Billing.Ledger;

/// <param name="Problem">What does not hold, and where; null: all does.</param>
internal sealed record TenantVerdict(string TenantId, long Transactions, long Entries, string? Problem);

/// <summary>
/// Recomputes every tenant's chain and balances from the rows, in this process: of the database it trusts nothing but that it hands out what is
/// stored. A page of rows is in memory at a time, each tenant is read in one snapshot, and nothing is locked.
/// </summary>
internal sealed class LedgerVerifier(NpgsqlDataSource source)
{
    // Also a tenant whose head somebody removed is found: by his transactions.
    private const string NextTenantSql =
        """
        SELECT min(t) FROM (
          (SELECT tenant_id FROM billing.heads WHERE tenant_id > $1 ORDER BY tenant_id LIMIT 1) UNION ALL
          (SELECT tenant_id FROM billing.transactions WHERE tenant_id > $1 ORDER BY tenant_id LIMIT 1)) x(t)
        """;

    // A page of transactions by their number: no plan of the database's reads all of a tenant before the first row.
    private const string RowsSql =
        """
        SELECT t.id, t.seq, t.kind, t.idempotency_key, t.posted_at, t.effective_at, t.metadata::text, t.hash,
          e.id, e.account, e.amount, e.balance_after, e.component, e.quantity, e.unit, e.rate, e.per, e.rate_card,
          e.position, e.tenant_id = t.tenant_id AND e.seq = t.seq AND e.posted_at = t.posted_at
        FROM (SELECT * FROM billing.transactions WHERE tenant_id = $1 AND seq > $2 ORDER BY seq LIMIT $3) t
        LEFT JOIN billing.entries e ON e.transaction_id = t.id
        ORDER BY t.seq, e.position
        """;

    private const int AtOnce = 1000;

    private const string HeadSql = "SELECT seq, posted_at, hash, available, held FROM billing.heads WHERE tenant_id = $1";

    // What lies beside the chain and must agree with it, each as a sentence: entries, holds, statements.
    private const string BesideSql =
        """
        SELECT CASE WHEN e.count <> $2 THEN format('it has %s entries, of which %s belong to its transactions', e.count, $2) END FROM (SELECT count(*) FROM billing.entries WHERE tenant_id = $1) e
        UNION ALL
        SELECT CASE WHEN h.sum <> $3 THEN format('its active holds are %s in all, and %s is held', h.sum, $3) END
        FROM (SELECT coalesce(sum(amount), 0)::bigint AS sum FROM billing.holds WHERE tenant_id = $1 AND status = 'active') h
        UNION ALL
        (SELECT format('hold %s is over without the transaction that ended it', h.id) FROM billing.holds h
         LEFT JOIN billing.transactions t ON t.id = h.transaction_id AND t.tenant_id = h.tenant_id AND t.idempotency_key = 'end:' || h.subject_id AND t.posted_at = h.ended_at
         WHERE h.tenant_id = $1 AND h.status <> 'active' AND t.id IS NULL LIMIT 1)
        UNION ALL
        (SELECT format('the statement of %s names transaction %s with another hash', to_char(s.month, 'YYYY-MM'), s.statement->'last'->>'seq') FROM billing.statements s
         LEFT JOIN billing.transactions t ON t.tenant_id = s.tenant_id AND t.seq = (s.statement->'last'->>'seq')::bigint
         WHERE s.tenant_id = $1 AND s.statement->'last'->>'hash' IS DISTINCT FROM encode(t.hash, 'hex') ORDER BY s.month LIMIT 1)
        """;

    /// <summary>All tenants in the order of their ids, or one; nothing where the ledger does not know it.</summary>
    public async IAsyncEnumerable<TenantVerdict> VerifyAsync(string? only, [EnumeratorCancellation] CancellationToken ct)
    {
        for (var tenant = only ?? await NextTenantAsync("", ct); tenant is not null; tenant = only is null ? await NextTenantAsync(tenant, ct) : null)
        {
            if (await JudgeAsync(tenant, ct) is { } verdict)
            {
                yield return verdict;
            }
        }
    }

    private async Task<TenantVerdict?> JudgeAsync(string tenantId, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await using var snapshot = await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, ct);
        var head = await HeadAsync(connection, tenantId, ct);
        var run = new ChainRun(tenantId);
        for (long? after = 0; after is { } seq && run.Problem is null;)
        {
            after = await ReadAsync(connection, run, seq, ct);
        }

        return head is null && run is { Transactions: 0, Problem: null }
            ? null
            : new(tenantId, run.Transactions, run.Entries, run.Problem ?? run.Compare(head) ?? await BesideAsync(connection, run, ct));
    }

    private async Task<string?> NextTenantAsync(string after, CancellationToken ct)
    {
        await using var query = source.CreateCommand(NextTenantSql);
        query.Parameters.Add(new() { Value = after });
        return await query.ExecuteScalarAsync(ct) as string;
    }

    /// <summary>Gives the chain the next page.</summary>
    /// <returns>The number of the last transaction in it; null: there are no more.</returns>
    private static async Task<long?> ReadAsync(NpgsqlConnection connection, ChainRun run, long after, CancellationToken ct)
    {
        await using var query = Query(connection, RowsSql, run.TenantId);
        query.Parameters.Add(new() { Value = after });
        query.Parameters.Add(new() { Value = AtOnce });
        await using var row = await query.ExecuteReaderAsync(ct);
        WrittenTransaction? current = null;
        var entries = new List<WrittenEntry>();
        while (await row.ReadAsync(ct))
        {
            if (current?.Id != row.GetString(0))
            {
                run.Add(current, entries);
                entries.Clear();
                current = new(
                    row.GetString(0), run.TenantId, row.GetInt64(1), row.GetString(2), row.GetString(3), row.GetDateTime(4), row.GetDateTime(5), row.GetString(6), row.GetFieldValue<byte[]>(7));
            }

            if (row.IsDBNull(8))
            {
                continue;       // A transaction without entries: its hash tells.
            }

            entries.Add(new(row.GetString(8), row.GetString(9), row.GetInt64(10), Number(11), Text(12), Number(13), Text(14), Number(15), Number(16), Text(17)));
            if (row.GetInt16(18) != entries.Count || !row.GetBoolean(19))
            {
                run.Fail(current, $"entry {row.GetString(8)} has another place, time or tenant than its transaction");
            }
        }

        run.Add(current, entries);
        return current?.Seq;

        string? Text(int column) => row.IsDBNull(column) ? null : row.GetString(column);

        long? Number(int column) => row.IsDBNull(column) ? null : row.GetInt64(column);
    }

    private static async Task<Head?> HeadAsync(NpgsqlConnection connection, string tenantId, CancellationToken ct)
    {
        await using var query = Query(connection, HeadSql, tenantId);
        await using var row = await query.ExecuteReaderAsync(ct);
        return await row.ReadAsync(ct) ? new(row.GetInt64(0), row.GetDateTime(1), row.GetFieldValue<byte[]>(2), row.GetInt64(3), row.GetInt64(4)) : null;
    }

    private static async Task<string?> BesideAsync(NpgsqlConnection connection, ChainRun run, CancellationToken ct)
    {
        await using var query = Query(connection, BesideSql, run.TenantId);
        query.Parameters.Add(new() { Value = run.Entries });
        query.Parameters.Add(new() { Value = run.Held });
        await using var row = await query.ExecuteReaderAsync(ct);
        while (await row.ReadAsync(ct))
        {
            if (!row.IsDBNull(0))
            {
                return row.GetString(0);
            }
        }

        return null;
    }

    private static NpgsqlCommand Query(NpgsqlConnection connection, string sql, string tenantId) =>
        new(sql, connection) { CommandTimeout = 0, Parameters = { new() { Value = tenantId } } };
}

/// <summary>The tenant's row that its postings lead to. Amounts in micro-credits.</summary>
internal sealed record Head(long Seq, DateTime PostedAt, byte[] Hash, long Available, long Held);

/// <summary>What a tenant's transactions, given one after the other, come to; and the first thing that is wrong with them.</summary>
internal sealed class ChainRun(string tenantId)
{
    private byte[] _hash = [];
    private DateTime _postedAt = DateTime.MinValue;
    private long _available;

    public string TenantId => tenantId;

    public long Transactions { get; private set; }

    public long Entries { get; private set; }

    public long Held { get; private set; }

    public string? Problem { get; private set; }

    /// <summary>The next one; null where there was none.</summary>
    public void Add(WrittenTransaction? transaction, IReadOnlyList<WrittenEntry> entries)
    {
        if (transaction is null || Problem is not null)
        {
            return;
        }

        if (transaction.Seq != Transactions + 1)
        {
            Fail(transaction, $"it follows number {Transactions}: what was between them is missing");
            return;
        }

        if (!Chain.Hash(_hash, transaction, entries).AsSpan().SequenceEqual(transaction.Hash))
        {
            Fail(transaction, "its hash is not that of what it says");
            return;
        }

        if (transaction.PostedAt <= _postedAt)
        {
            Fail(transaction, "it is not later than the one before");
        }

        if (entries.Aggregate(Int128.Zero, (sum, e) => sum + e.Amount) != 0)
        {
            Fail(transaction, "its entries do not add up to zero");
        }

        foreach (var e in entries)
        {
            (_available, Held) = (_available + (e.Account == "available" ? e.Amount : 0), Held + (e.Account == "held" ? e.Amount : 0));
            if (e.BalanceAfter != (e.Account switch { "available" => _available, "held" => Held, _ => (long?)null }))
            {
                Fail(transaction, $"the balance after entry {e.Id} is wrong");
            }
        }

        (_hash, _postedAt, Transactions, Entries) = (transaction.Hash, transaction.PostedAt, Transactions + 1, Entries + entries.Count);
    }

    /// <summary>Only the first one counts: what follows is broken by it.</summary>
    public void Fail(WrittenTransaction transaction, string why) => Problem ??= $"transaction {transaction.Id} (number {transaction.Seq}): {why}";

    /// <summary>What is wrong with the head; null: it is where the transactions lead.</summary>
    public string? Compare(Head? head) => head switch
    {
        null => "its account is gone",
        _ when head.Seq != Transactions => $"its account counts {head.Seq} transactions, and there are {Transactions}",
        _ when !head.Hash.AsSpan().SequenceEqual(_hash) => "its account has another hash than its last transaction",
        _ when head.PostedAt < _postedAt => "its account is older than its last transaction",
        _ when (head.Available, head.Held) != (_available, Held) =>
            $"its account says {head.Available} available and {head.Held} held, its entries add up to {_available} and {Held}",
        _ => null,
    };
}
