using System.Text.Json;
using Npgsql;
using NpgsqlTypes;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Billing.Ledger;

/// <summary>One line of a transaction. Amounts in micro-credits; the last six say what a charge line was for.</summary>
internal sealed record Line(
    string Account, long Amount, string? Component = null, long? Quantity = null, string? Unit = null, long? Rate = null, long? Per = null, string? RateCard = null);

/// <summary>What a posting led to. Replayed: the key was known, nothing changed.</summary>
internal sealed record Posting(string TransactionId, long Seq, DateTimeOffset PostedAt, bool Replayed, long Available, long Held);

/// <param name="Kind">Of what was reversed.</param>
/// <param name="Amount">What it gives to the tenant, in micro-credits; below zero where it takes back.</param>
internal sealed record Reversal(Posting Posting, string TenantId, string Kind, long Amount);

/// <summary>Calls the ledger's SQL functions, one round trip each, in the running unit of work.</summary>
internal sealed class LedgerPostings(UnitOfWork unit, TimeProvider clock)
{
    private const string NotCovered = "VP402";
    private const string NoAccount = "VP404";
    private const string HasNoReversal = "VP409";

    // The tenant's line, and one for each component and what was not collected.
    private const int LinesOfReversal = RateCards.MaxComponents + 2;

    public async Task OpenAsync(string tenantId, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand("SELECT billing.open_account($1)", unit.Connection, unit.Transaction);
        command.Parameters.Add(Text(tenantId));
        await command.ExecuteNonQueryAsync(ct);
    }

    public Task<Result<Posting?>> PostAsync(string tenantId, string kind, string key, object metadata, IReadOnlyList<Line> lines, CancellationToken ct) =>
        CallAsync(
            "SELECT * FROM billing.post($1, $2, $3, $4, NULL, $5, $6)", ct,
            Text(NewId(Ids.Transaction)), Text(tenantId), Text(kind), Text(key), Jsonb(metadata), Jsonb(WithIds(lines)));

    public Task<Result<Posting?>> PlaceHoldAsync(string holdId, string tenantId, string subjectId, long amount, string rateCard, CancellationToken ct) =>
        CallAsync(
            "SELECT * FROM billing.place_hold($1, $2, $3, $4, $5, $6, $7)", ct,
            Text(holdId), Text(NewId(Ids.Transaction)), Text(tenantId), Text(subjectId), Amount(amount), Text(rateCard), NewEntryIds(2));

    /// <summary>The posting is null when there was nothing to do.</summary>
    public Task<Result<Posting?>> ExtendHoldAsync(string tenantId, string subjectId, long atLeast, CancellationToken ct) =>
        CallAsync(
            "SELECT * FROM billing.extend_hold($1, $2, $3, $4, $5)", ct,
            Text(NewId(Ids.Transaction)), Text(tenantId), Text(subjectId), Amount(atLeast), NewEntryIds(2));

    /// <summary>The posting is null when the subject never had a hold.</summary>
    public Task<Result<Posting?>> SettleHoldAsync(string tenantId, string subjectId, object metadata, IReadOnlyList<Line> lines, CancellationToken ct) =>
        CallAsync(
            "SELECT * FROM billing.settle_hold($1, $2, $3, $4, $5, $6)", ct,
            Text(NewId(Ids.Transaction)), Text(tenantId), Text(subjectId), Jsonb(metadata), Jsonb(WithIds(lines)), NewEntryIds(3));

    /// <summary>A subject's hold, with what is in it now.</summary>
    public async Task<HoldPlaced> HoldAsync(string tenantId, string subjectId, CancellationToken ct)
    {
        await using var query = Command("SELECT id, rate_card, amount FROM billing.holds WHERE tenant_id = $1 AND subject_id = $2", Text(tenantId), Text(subjectId));
        await using var row = await query.ExecuteReaderAsync(ct);
        await row.ReadAsync(ct);
        return new(row.GetString(0), row.GetString(1), row.GetInt64(2));
    }

    /// <summary>The lines that a charge was made of, in their order; none for a release.</summary>
    public async Task<List<ChargeLine>> ChargedAsync(string transactionId, CancellationToken ct)
    {
        await using var query = Command(
            """
            SELECT component, quantity, unit, rate, per, rate_card, amount FROM billing.entries
            WHERE transaction_id = $1 AND account = 'platform:revenue' ORDER BY position
            """,
            Text(transactionId));
        var lines = new List<ChargeLine>();
        await using var row = await query.ExecuteReaderAsync(ct);
        while (await row.ReadAsync(ct))
        {
            lines.Add(new(row.GetString(0), row.GetInt64(1), row.GetString(2), row.GetInt64(3), row.GetInt64(4), row.GetString(5), row.GetInt64(6)));
        }

        return lines;
    }

    /// <summary>Takes back what a transaction moved. Replayed: it was taken back before.</summary>
    public async Task<Result<Reversal>> ReverseAsync(string transactionId, string reason, CancellationToken ct)
    {
        await using var command = Command(
            "SELECT * FROM billing.reverse($1, $2, $3, $4)",
            Text(NewId(Ids.Transaction)), Text(transactionId), Text(reason), NewEntryIds(LinesOfReversal));
        try
        {
            await using var row = await command.ExecuteReaderAsync(ct);
            return await row.ReadAsync(ct) && !await row.IsDBNullAsync(0, ct)
                ? new Reversal(Read(row), row.GetString(6), row.GetString(7), row.GetInt64(8))
                : BillingErrors.NoTransaction;
        }
        catch (PostgresException e) when (e.SqlState == NotCovered)
        {
            return BillingErrors.SpentAlready;
        }
        catch (PostgresException e) when (e.SqlState == HasNoReversal)
        {
            return BillingErrors.NotReversible;
        }
    }

    private async Task<Result<Posting?>> CallAsync(string sql, CancellationToken ct, params NpgsqlParameter[] parameters)
    {
        await using var command = Command(sql, parameters);
        try
        {
            await using var row = await command.ExecuteReaderAsync(ct);
            return await row.ReadAsync(ct) && !await row.IsDBNullAsync(0, ct)
                ? Read(row)
                : (Result<Posting?>)(Posting?)null;
        }
        catch (PostgresException e) when (e.SqlState == NotCovered)
        {
            return BillingErrors.NotCovered;
        }
        catch (PostgresException e) when (e.SqlState == NoAccount)
        {
            return BillingErrors.UnknownTenant;
        }
    }

    private NpgsqlCommand Command(string sql, params NpgsqlParameter[] parameters)
    {
        var command = new NpgsqlCommand(sql, unit.Connection, unit.Transaction ?? throw new InvalidOperationException("Postings need a unit of work."));
        command.Parameters.AddRange(parameters);
        return command;
    }

    private static Posting Read(NpgsqlDataReader row) =>
        new(row.GetString(0), row.GetInt64(1), row.GetFieldValue<DateTimeOffset>(2), row.GetBoolean(3), row.GetInt64(4), row.GetInt64(5));

    private List<object> WithIds(IReadOnlyList<Line> lines) => lines
        .Select(l => (object)new { id = NewId(Ids.Entry), account = l.Account, amount = l.Amount, component = l.Component, quantity = l.Quantity, unit = l.Unit, rate = l.Rate, per = l.Per, rate_card = l.RateCard })
        .ToList();

    private string NewId(string prefix) => Ids.New(prefix, clock.GetUtcNow());

    private NpgsqlParameter NewEntryIds(int count) => new() { Value = Enumerable.Range(0, count).Select(_ => NewId(Ids.Entry)).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text };

    private static NpgsqlParameter Text(string value) => new() { Value = value, NpgsqlDbType = NpgsqlDbType.Text };

    private static NpgsqlParameter Amount(long value) => new() { Value = value, NpgsqlDbType = NpgsqlDbType.Bigint };

    private static NpgsqlParameter Jsonb(object value) => new() { Value = JsonSerializer.Serialize(value), NpgsqlDbType = NpgsqlDbType.Jsonb };
}
