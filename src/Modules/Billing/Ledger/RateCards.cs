using System.Text.Json;
using Npgsql;
using NpgsqlTypes;

namespace VoicePlatform.Billing.Ledger;

/// <summary>
/// The cards as the database keeps them. Of the prices by number only those are read that may hold for the numbers at hand: a card may have thousands.
/// </summary>
internal sealed class RateCards(UnitOfWork unit, TimeProvider clock)
{
    private const string InThePast = "VP410";
    private const string TooManyPrices = "VP413";
    private const int MaxDigits = 15;

    private const string Columns =
        "c.id, c.tenant_id, c.version, c.valid_from, c.own_key_discount_percent, r.component, r.prefix, r.unit, r.rate, r.per, r.increment, r.minimum, r.cost";

    /// <summary>The version in force now: the tenant's own if it has one, else the installation's.</summary>
    public Task<RateCard> InForceAsync(string tenantId, IEnumerable<string?> numbers, CancellationToken ct) => InForceAsync(tenantId, clock.GetUtcNow(), numbers, ct);

    /// <param name="numbers">Whose prices are needed; null: all prices.</param>
    public async Task<RateCard> InForceAsync(string tenantId, DateTimeOffset at, IEnumerable<string?>? numbers, CancellationToken ct) => (await ReadAsync(
        $"""
        SELECT {Columns} FROM (
          SELECT * FROM billing.rate_cards WHERE (tenant_id = $1 OR tenant_id IS NULL) AND valid_from <= $3
          ORDER BY tenant_id NULLS LAST, valid_from DESC, version DESC LIMIT 1) c JOIN billing.rates r ON r.rate_card = c.id AND (r.prefix = ANY($2) OR $2 IS NULL)
        """,
        ct, Text(tenantId), Prefixes(numbers), new() { Value = at })).Single();

    /// <summary>What will be in force for the tenant after now, in order: once it has a card of its own, the installation's no longer matter to it.</summary>
    public async Task<IReadOnlyList<RateCard>> ComingAsync(string tenantId, CancellationToken ct) => await ReadAsync(
        $"""
        SELECT {Columns} FROM billing.rate_cards c JOIN billing.rates r ON r.rate_card = c.id
        WHERE c.valid_from > $2 AND (c.tenant_id = $1 OR (c.tenant_id IS NULL
          AND NOT EXISTS (SELECT FROM billing.rate_cards own WHERE own.tenant_id = $1 AND own.valid_from <= c.valid_from)))
          AND NOT EXISTS (
            SELECT FROM billing.rate_cards next WHERE next.tenant_id IS NOT DISTINCT FROM c.tenant_id AND next.valid_from = c.valid_from AND next.version > c.version)
        ORDER BY c.valid_from, c.id
        """,
        ct, Text(tenantId), new() { Value = clock.GetUtcNow() });

    /// <summary>The version under which the subject's hold was placed; null when it has none.</summary>
    public async Task<RateCard?> OfSubjectAsync(string tenantId, string subjectId, IEnumerable<string?> numbers, CancellationToken ct) => (await ReadAsync(
        $"""
        SELECT {Columns} FROM billing.holds h JOIN billing.rate_cards c ON c.id = h.rate_card JOIN billing.rates r ON r.rate_card = c.id AND r.prefix = ANY($3)
        WHERE h.tenant_id = $1 AND h.subject_id = $2
        """,
        ct, Text(tenantId), Text(subjectId), Prefixes(numbers))).SingleOrDefault();

    /// <summary>Adds the next version, in the running unit of work. Nobody else does so meanwhile.</summary>
    /// <param name="tenantId">Null: the installation's.</param>
    /// <param name="validFrom">Null: now.</param>
    /// <param name="ownKeyDiscountPercent">Null: as it would have been.</param>
    /// <param name="rates">The prices that change.</param>
    public async Task<Result<RateCard>> AddAsync(string? tenantId, DateTimeOffset? validFrom, int? ownKeyDiscountPercent, IReadOnlyCollection<Rate> rates, CancellationToken ct)
    {
        await using var add = new NpgsqlCommand("SELECT billing.add_rate_card($1, $2, $3, $4)", unit.Connection, unit.Transaction)
        {
            Parameters =
            {
                Text(tenantId),
                new() { Value = (object?)validFrom?.ToUniversalTime() ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.TimestampTz },
                new() { Value = (object?)ownKeyDiscountPercent ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Integer },
                new() { Value = JsonSerializer.Serialize(rates.Select(r => new { component = r.Component, prefix = r.Prefix, unit = r.Unit, rate = r.MicroCredits, per = r.Per, increment = r.Increment, minimum = r.Minimum, cost = r.Cost })), NpgsqlDbType = NpgsqlDbType.Jsonb },
            },
        };
        try
        {
            return await add.ExecuteScalarAsync(ct) is string id
                ? (await ReadAsync($"SELECT {Columns} FROM billing.rate_cards c JOIN billing.rates r ON r.rate_card = c.id WHERE c.id = $1", ct, Text(id))).Single()
                : BillingErrors.UnknownTenant;
        }
        catch (PostgresException e) when (e.SqlState == InThePast)
        {
            return BillingErrors.CardInThePast;
        }
        catch (PostgresException e) when (e.SqlState == TooManyPrices)
        {
            return BillingErrors.TooManyPrices;
        }
    }

    private async Task<List<RateCard>> ReadAsync(string sql, CancellationToken ct, params NpgsqlParameter[] values)
    {
        await using var query = new NpgsqlCommand(sql, await unit.OpenAsync(ct), unit.Transaction);
        query.Parameters.AddRange(values);
        var cards = new List<RateCard>();
        var rates = new Dictionary<string, Rate>();
        await using var row = await query.ExecuteReaderAsync(ct);
        while (await row.ReadAsync(ct))
        {
            if (cards.Count == 0 || cards[^1].Id != row.GetString(0))
            {
                rates = [];
                cards.Add(new(row.GetString(0), row.IsDBNull(1) ? null : row.GetString(1), row.GetInt32(2), row.GetFieldValue<DateTimeOffset>(3), rates)
                {
                    OwnKeyDiscountPercent = row.GetInt32(4),
                });
            }

            var rate = new Rate(row.GetString(5), row.GetString(7), row.GetInt64(8), row.GetInt64(9), row.GetInt64(10), row.GetInt64(11))
            {
                Prefix = row.GetString(6),
                Cost = row.IsDBNull(12) ? null : row.GetInt64(12),
            };
            rates[rate.Name] = rate;
        }

        return cards;
    }

    /// <summary>Of the plain prices, and of all that may fit a number.</summary>
    private static NpgsqlParameter Prefixes(IEnumerable<string?>? numbers) => new()
    {
        Value = (object?)numbers?.OfType<string>().SelectMany(n => Enumerable.Range(1, Math.Min(n.Length, MaxDigits + 1)).Select(length => n[..length])).Append("").Distinct().ToArray() ?? DBNull.Value,
        NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text,
    };

    private static NpgsqlParameter Text(string? value) => new() { Value = (object?)value ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text };
}
