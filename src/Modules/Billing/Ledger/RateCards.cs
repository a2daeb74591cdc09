using Npgsql;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Billing.Ledger;

/// <summary>The price of one component: rate micro-credits per 'per' units, at least 'minimum' units when used at all, in steps of 'increment' after that.</summary>
internal sealed record Rate(string Component, string Unit, long MicroCredits, long Per, long Increment, long Minimum)
{
    /// <summary>Units that are charged for the units that were used: 60/6 is a minimum of 60 and steps of 6 from there.</summary>
    public long Billable(long quantity) =>
        quantity <= 0 ? 0
        : quantity <= Minimum ? Minimum
        : checked((long)(Minimum + (((Int128)quantity - Minimum + Increment - 1) / Increment * Increment)));

    /// <summary>Rounded half up, in 128 bits on the way.</summary>
    /// <exception cref="OverflowException">The price itself does not fit a long.</exception>
    public long Price(long billable) => checked((long)((((Int128)billable * MicroCredits * 2) + Per) / ((Int128)Per * 2)));
}

/// <summary>One immutable version of prices.</summary>
/// <param name="TenantId">Null: everybody's who has no card of his own.</param>
internal sealed record RateCard(string Id, string? TenantId, int Version, DateTimeOffset ValidFrom, IReadOnlyDictionary<string, Rate> Rates)
{
    /// <summary>What the use costs in all; refused when it is more than a posting may carry.</summary>
    /// <exception cref="InvalidOperationException">Something is measured that the card does not price: a mistake of ours, never of a caller.</exception>
    public Result<PricedUse> Cost(IEnumerable<Measured> used)
    {
        try
        {
            var lines = Price(used);
            var amount = lines.Aggregate(Int128.Zero, (sum, l) => sum + l.Amount);
            return amount <= Credits.Max ? new PricedUse(Id, (long)amount, lines) : BillingErrors.TooLarge;
        }
        catch (OverflowException)
        {
            return BillingErrors.TooLarge;
        }
    }

    /// <exception cref="OverflowException">A line does not fit a long.</exception>
    /// <exception cref="InvalidOperationException">Something is measured that the card does not price: a mistake of ours, never of a caller.</exception>
    public List<ChargeLine> Price(IEnumerable<Measured> used) => used
        .Where(m => m.Quantity > 0)
        .OrderBy(m => m.Component, StringComparer.Ordinal)
        .Select(m =>
        {
            if (!Rates.TryGetValue(m.Component, out var rate) || rate.Unit != m.Unit)
            {
                throw new InvalidOperationException($"Rate card {Id} has no price for {m.Component} in {m.Unit}s.");
            }

            var billable = rate.Billable(m.Quantity);
            return new ChargeLine(m.Component, billable, rate.Unit, rate.MicroCredits, rate.Per, Id, rate.Price(billable));
        })
        .ToList();
}

internal sealed class RateCards(UnitOfWork unit, TimeProvider clock)
{
    /// <summary>The most components that a card may have.</summary>
    public const int MaxComponents = 32;

    private const string Columns = "c.id, c.tenant_id, c.version, c.valid_from, r.component, r.unit, r.rate, r.per, r.increment, r.minimum";

    /// <summary>The version in force now: the tenant's own if it has one, else the installation's.</summary>
    public Task<RateCard> InForceAsync(string tenantId, CancellationToken ct) => InForceAsync(tenantId, clock.GetUtcNow(), ct);

    /// <param name="tenantId">Null: the installation's.</param>
    public async Task<RateCard> InForceAsync(string? tenantId, DateTimeOffset at, CancellationToken ct) => (await ReadAsync(
        $"""
        SELECT {Columns} FROM (
          SELECT * FROM billing.rate_cards WHERE (tenant_id = $1 OR tenant_id IS NULL) AND valid_from <= $2
          ORDER BY tenant_id NULLS LAST, valid_from DESC, version DESC LIMIT 1) c JOIN billing.rates r ON r.rate_card = c.id
        """,
        ct, Text(tenantId), new() { Value = at })).Single();

    /// <summary>What will be in force for the tenant after now, in order: once it has a card of its own, the installation's no longer matter to it.</summary>
    public async Task<IReadOnlyList<RateCard>> ComingAsync(string tenantId, CancellationToken ct) => await ReadAsync(
        $"""
        SELECT {Columns} FROM billing.rate_cards c JOIN billing.rates r ON r.rate_card = c.id
        WHERE c.valid_from > $2 AND (c.tenant_id = $1 OR (c.tenant_id IS NULL
          AND NOT EXISTS (SELECT FROM billing.rate_cards own WHERE own.tenant_id = $1 AND own.valid_from <= c.valid_from)))
        ORDER BY c.valid_from, c.version, c.id
        """,
        ct, Text(tenantId), new() { Value = clock.GetUtcNow() });

    /// <summary>The version under which the subject's hold was placed; null when it has none.</summary>
    public async Task<RateCard?> OfSubjectAsync(string tenantId, string subjectId, CancellationToken ct) => (await ReadAsync(
        $"""
        SELECT {Columns} FROM billing.holds h JOIN billing.rate_cards c ON c.id = h.rate_card JOIN billing.rates r ON r.rate_card = c.id
        WHERE h.tenant_id = $1 AND h.subject_id = $2
        """,
        ct, Text(tenantId), Text(subjectId))).SingleOrDefault();

    /// <summary>Adds the next version, in the running unit of work. Null: there is no such tenant.</summary>
    /// <param name="tenantId">Null: the installation's.</param>
    public async Task<RateCard?> AddAsync(string? tenantId, DateTimeOffset validFrom, IReadOnlyDictionary<string, Rate> rates, CancellationToken ct)
    {
        // Versions are given one after the other; the lock is a statement of its own, so that the next one sees what the holder before wrote.
        await using (var turn = new NpgsqlCommand("SELECT pg_advisory_xact_lock(hashtextextended('billing.rate_cards', 0))", unit.Connection, unit.Transaction))
        {
            await turn.ExecuteNonQueryAsync(ct);
        }

        await using var add = new NpgsqlCommand(
            """
            INSERT INTO billing.rate_cards (id, tenant_id, version, valid_from)
            SELECT coalesce($1, 'default') || '-' || next.version, $1, next.version, $2
            FROM (SELECT coalesce(max(version), 0) + 1 AS version FROM billing.rate_cards WHERE tenant_id IS NOT DISTINCT FROM $1) next
            WHERE $1 IS NULL OR EXISTS (SELECT FROM billing.heads WHERE tenant_id = $1)
            RETURNING id, version
            """, unit.Connection, unit.Transaction);
        add.Parameters.Add(Text(tenantId));
        add.Parameters.Add(new() { Value = validFrom });
        string id;
        int version;
        await using (var row = await add.ExecuteReaderAsync(ct))
        {
            if (!await row.ReadAsync(ct))
            {
                return null;
            }

            (id, version) = (row.GetString(0), row.GetInt32(1));
        }

        await using var prices = new NpgsqlBatch(unit.Connection, unit.Transaction);
        foreach (var rate in rates.Values)
        {
            prices.BatchCommands.Add(new("INSERT INTO billing.rates (rate_card, component, unit, rate, per, increment, minimum) VALUES ($1, $2, $3, $4, $5, $6, $7)")
            {
                Parameters =
                {
                    new() { Value = id }, new() { Value = rate.Component }, new() { Value = rate.Unit }, new() { Value = rate.MicroCredits },
                    new() { Value = rate.Per }, new() { Value = rate.Increment }, new() { Value = rate.Minimum },
                },
            });
        }

        await prices.ExecuteNonQueryAsync(ct);
        return new(id, tenantId, version, validFrom, rates);
    }

    private async Task<List<RateCard>> ReadAsync(string sql, CancellationToken ct, params NpgsqlParameter[] values)
    {
        await using var query = new NpgsqlCommand(sql, await unit.OpenAsync(ct), unit.Transaction);
        foreach (var value in values)
        {
            query.Parameters.Add(value);
        }

        var cards = new List<RateCard>();
        var rates = new Dictionary<string, Rate>();
        await using var row = await query.ExecuteReaderAsync(ct);
        while (await row.ReadAsync(ct))
        {
            if (cards.Count == 0 || cards[^1].Id != row.GetString(0))
            {
                rates = [];
                cards.Add(new(row.GetString(0), row.IsDBNull(1) ? null : row.GetString(1), row.GetInt32(2), row.GetFieldValue<DateTimeOffset>(3), rates));
            }

            rates[row.GetString(4)] = new(row.GetString(4), row.GetString(5), row.GetInt64(6), row.GetInt64(7), row.GetInt64(8), row.GetInt64(9));
        }

        return cards;
    }

    private static NpgsqlParameter Text(string? value) => new() { Value = (object?)value ?? DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Text };
}
