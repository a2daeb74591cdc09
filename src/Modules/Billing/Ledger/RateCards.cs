using Npgsql;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Billing.Ledger;

/// <summary>The price of one component: rate micro-credits per 'per' units, in steps of 'increment', at least 'minimum' when used at all.</summary>
internal sealed record Rate(string Component, string Unit, long MicroCredits, long Per, long Increment, long Minimum)
{
    /// <summary>Units that are charged for the units that were used.</summary>
    public long Billable(long quantity)
    {
        if (quantity <= 0)
        {
            return 0;
        }

        var steps = (quantity + Increment - 1) / Increment;
        return Math.Max(steps * Increment, Minimum);
    }

    /// <summary>Rounded half up, in 128 bits: no quantity that fits a long can overflow.</summary>
    public long Price(long billable) => (long)((((Int128)billable * MicroCredits * 2) + Per) / ((Int128)Per * 2));
}

/// <summary>One immutable version of prices.</summary>
internal sealed record RateCard(string Id, IReadOnlyDictionary<string, Rate> Rates)
{
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
    /// <summary>The version in force now: the tenant's own if it has one, else the installation's.</summary>
    public Task<RateCard> InForceAsync(string tenantId, CancellationToken ct) => ReadAsync(
        """
        WITH card AS (
          SELECT id FROM billing.rate_cards WHERE (tenant_id = $1 OR tenant_id IS NULL) AND valid_from <= $2
          ORDER BY tenant_id NULLS LAST, valid_from DESC, version DESC LIMIT 1)
        SELECT r.rate_card, r.component, r.unit, r.rate, r.per, r.increment, r.minimum FROM billing.rates r JOIN card ON card.id = r.rate_card
        """,
        ct, tenantId, clock.GetUtcNow());

    /// <summary>The version under which the subject's hold was placed; null when it has none.</summary>
    public async Task<RateCard?> OfSubjectAsync(string tenantId, string subjectId, CancellationToken ct)
    {
        var card = await ReadAsync(
            """
            SELECT r.rate_card, r.component, r.unit, r.rate, r.per, r.increment, r.minimum
            FROM billing.rates r JOIN billing.holds h ON h.rate_card = r.rate_card WHERE h.tenant_id = $1 AND h.subject_id = $2
            """,
            ct, tenantId, subjectId);
        return card.Rates.Count == 0 ? null : card;
    }

    private async Task<RateCard> ReadAsync(string sql, CancellationToken ct, params object[] values)
    {
        await using var query = new NpgsqlCommand(sql, await unit.OpenAsync(ct), unit.Transaction);
        foreach (var value in values)
        {
            query.Parameters.Add(new() { Value = value });
        }

        var rates = new Dictionary<string, Rate>();
        var id = "";
        await using var row = await query.ExecuteReaderAsync(ct);
        while (await row.ReadAsync(ct))
        {
            id = row.GetString(0);
            rates[row.GetString(1)] = new(row.GetString(1), row.GetString(2), row.GetInt64(3), row.GetInt64(4), row.GetInt64(5), row.GetInt64(6));
        }

        return new(id, rates);
    }
}
