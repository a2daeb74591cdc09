using System.Text.Json;
using Npgsql;
using NpgsqlTypes;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Billing.Ledger;

/// <summary>One line of a transaction. Amounts in micro-credits; the last six say what a charge line was for.</summary>
internal sealed record Line(
    string Account, long Amount, string? Component = null, long? Quantity = null, string? Unit = null, long? Rate = null, long? Per = null, string? RateCard = null)
{
    /// <summary>What a charge earns.</summary>
    public static List<Line> Of(IEnumerable<ChargeLine> charged) =>
        charged.Select(l => new Line("platform:revenue", l.Amount, l.Component, l.Quantity, l.Unit, l.Rate, l.Per, l.RateCard)).ToList();
}

/// <summary>What a posting led to. Replayed: the key was known, nothing changed.</summary>
internal sealed record Posting(string TransactionId, long Seq, DateTimeOffset PostedAt, bool Replayed, long Available, long Held);

/// <param name="Amount">What was taken back now, in micro-credits.</param>
internal sealed record Expiry(Posting Posting, long Amount, DateTimeOffset ExpiresAt);

/// <param name="Kind">Of what was reversed.</param>
/// <param name="Amount">What it gives to the tenant, in micro-credits; below zero where it takes back.</param>
internal sealed record Reversal(Posting Posting, string TenantId, string Kind, long Amount);

/// <summary>
/// Calls the ledger's SQL functions, one round trip each: in the unit of work where one is running, else each posting is a transaction of its own. With all
/// that it leads to it is one statement: a balance that falls below its threshold leaves word of it in the outbox (<see cref="BalanceAlerts"/>).
/// </summary>
internal sealed class LedgerPostings(UnitOfWork unit, BalanceAlerts alerts, TimeProvider clock)
{
    private const string NotCovered = "VP402";
    private const string BudgetExceeded = "VP403";
    private const string NoAccount = "VP404";
    private const string HasNoReversal = "VP409";
    private const string HasExpired = "VP410";

    // The tenant's line, one for each component by whosever key, and what was not collected.
    private static readonly int LinesOfReversal = (Components.All.Count * 2) + 2;

    public async Task OpenAsync(string tenantId, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand("SELECT billing.open_account($1)", unit.Connection, unit.Transaction);
        command.Parameters.Add(Text(tenantId));
        await command.ExecuteNonQueryAsync(ct);
    }

    /// <param name="effectiveAt">For the reader; the books go by when it is posted. Null: that time.</param>
    public Task<Result<Posting?>> PostAsync(string tenantId, string kind, string key, DateTimeOffset? effectiveAt, object metadata, IReadOnlyList<Line> lines, CancellationToken ct) =>
        CallAsync(
            "SELECT (p).* FROM (SELECT billing.post($1, $2, $3, $4, $5, $6, $7, $8) AS p OFFSET 0) once", ct,
            Text(NewId(Ids.Transaction)), Text(tenantId), Text(kind), Text(key), Instant(effectiveAt), Jsonb(metadata), Jsonb(WithIds(lines)), Amount(alerts.Threshold));

    /// <summary>Gives promotional credits.</summary>
    /// <param name="expiresAt">Null: never.</param>
    public Task<Result<Posting?>> GrantAsync(string tenantId, string key, object metadata, long amount, DateTimeOffset? expiresAt, CancellationToken ct) =>
        CallAsync(
            "SELECT (p).* FROM (SELECT billing.grant_credits($1, $2, $3, $4, $5, $6, $7) AS p OFFSET 0) once", ct,
            Text(NewId(Ids.Transaction)), Text(tenantId), Text(key), Jsonb(metadata), Amount(amount),
            Instant(expiresAt), NewEntryIds(2));

    public Task<Result<Posting?>> PlaceHoldAsync(string holdId, string tenantId, string subjectId, string? assistantId, long amount, string rateCard, CancellationToken ct) =>
        CallAsync(
            "SELECT (p).* FROM (SELECT billing.place_hold($1, $2, $3, $4, $5, $6, $7, $8) AS p OFFSET 0) once", ct,
            Text(holdId), Text(NewId(Ids.Transaction)), Text(tenantId), Text(subjectId), Amount(amount), Text(rateCard), NewEntryIds(2), Text(assistantId));

    /// <summary>Raises the hold to <paramref name="atLeast"/> when it is below <paramref name="needed"/>. The posting is null when there was nothing to do.</summary>
    public Task<Result<Posting?>> ExtendHoldAsync(string tenantId, string subjectId, long atLeast, long needed, CancellationToken ct) =>
        CallAsync(
            "SELECT (p).* FROM (SELECT billing.extend_hold($1, $2, $3, $4, $5, $6) AS p OFFSET 0) once", ct,
            Text(NewId(Ids.Transaction)), Text(tenantId), Text(subjectId), Amount(atLeast), NewEntryIds(2), Amount(needed));

    /// <summary>The posting is null when the subject never had a hold.</summary>
    public Task<Result<Posting?>> SettleHoldAsync(string tenantId, string subjectId, object metadata, IReadOnlyList<Line> lines, CancellationToken ct) =>
        CallAsync(
            "SELECT (p).* FROM (SELECT billing.settle_hold($1, $2, $3, $4, $5, $6, $7) AS p OFFSET 0) once", ct,
            Text(NewId(Ids.Transaction)), Text(tenantId), Text(subjectId), Jsonb(metadata), Jsonb(WithIds(lines)), NewEntryIds(3), Amount(alerts.Threshold));

    /// <summary>Gives the subject's hold back whole. Replayed: it was over, and stays as it is. The posting is null when the subject never had one.</summary>
    /// <param name="status">released or expired.</param>
    /// <param name="metadata">Says why.</param>
    public Task<Result<Posting?>> ReleaseHoldAsync(string tenantId, string subjectId, string status, object metadata, CancellationToken ct) =>
        CallAsync(
            "SELECT (p).* FROM (SELECT billing.release_hold($1, $2, $3, $4, $5, $6) AS p OFFSET 0) once", ct,
            Text(NewId(Ids.Transaction)), Text(tenantId), Text(subjectId), Text(status), Jsonb(metadata), NewEntryIds(2));

    /// <summary>Charges what was learnt after the subject's hold had ended. The posting is null when it never had one.</summary>
    public Task<Result<Posting?>> ChargeLateAsync(string tenantId, string subjectId, string key, IReadOnlyList<Line> lines, CancellationToken ct) =>
        CallAsync(
            "SELECT (p).* FROM (SELECT billing.charge_late($1, $2, $3, $4, $5, $6, $7) AS p OFFSET 0) once", ct,
            Text(NewId(Ids.Transaction)), Text(tenantId), Text(subjectId), Text(key), Jsonb(WithIds(lines)), NewEntryIds(2), Amount(alerts.Threshold));

    /// <summary>Charges what no hold is for, once a key.</summary>
    public Task<Result<Posting?>> ChargeAsync(string tenantId, string key, object metadata, IReadOnlyList<Line> lines, CancellationToken ct) =>
        CallAsync(
            "SELECT (p).* FROM (SELECT billing.charge($1, $2, $3, $4, $5, $6, $7) AS p OFFSET 0) once", ct,
            Text(NewId(Ids.Transaction)), Text(tenantId), Text(key), Jsonb(metadata), Jsonb(WithIds(lines)), NewEntryIds(2), Amount(alerts.Threshold));

    /// <summary>Takes back what is left of a grant whose time is over, as far as it is not held. Null: there was nothing to do.</summary>
    public async Task<Expiry?> ExpireAsync(string tenantId, string grant, CancellationToken ct)
    {
        await using var command = await CommandAsync(
            "SELECT * FROM billing.expire_grant($1, $2, $3, $4, $5)", ct,
            Text(NewId(Ids.Transaction)), Text(tenantId), Text(grant), NewEntryIds(2), Amount(alerts.Threshold));
        await using var row = await command.ExecuteReaderAsync(ct);
        if (!await row.ReadAsync(ct) || await row.IsDBNullAsync(0, ct))
        {
            return null;
        }

        alerts.Fell(HasFallen(row, 6));
        return new(Read(row), row.GetInt64(8), row.GetFieldValue<DateTimeOffset>(9));
    }

    /// <summary>How far below zero the tenant may go. Answers the limit before, and what is available; null when the tenant has no account.</summary>
    public async Task<(long Before, long Available)?> SetCreditLimitAsync(string tenantId, long limit, CancellationToken ct)
    {
        await using var command = await CommandAsync("SELECT * FROM billing.set_credit_limit($1, $2, $3)", ct, Text(tenantId), Amount(limit), Amount(alerts.Threshold));
        await using var row = await command.ExecuteReaderAsync(ct);
        if (!await row.ReadAsync(ct))
        {
            return null;
        }

        alerts.Fell(HasFallen(row, 3));
        return (row.GetInt64(0), row.GetInt64(1));
    }

    /// <summary>A subject's hold, with what is in it now.</summary>
    public async Task<HoldPlaced> HoldAsync(string tenantId, string subjectId, CancellationToken ct)
    {
        await using var query = await CommandAsync("SELECT id, rate_card, amount FROM billing.holds WHERE tenant_id = $1 AND subject_id = $2", ct, Text(tenantId), Text(subjectId));
        await using var row = await query.ExecuteReaderAsync(ct);
        await row.ReadAsync(ct);
        return new(row.GetString(0), row.GetString(1), row.GetInt64(2));
    }

    /// <summary>Whether the subject's hold is active.</summary>
    public async Task<bool> IsHeldAsync(string tenantId, string subjectId, CancellationToken ct)
    {
        await using var query = await CommandAsync("SELECT EXISTS (SELECT FROM billing.holds WHERE tenant_id = $1 AND subject_id = $2 AND status = 'active')", ct, Text(tenantId), Text(subjectId));
        return await query.ExecuteScalarAsync(ct) is true;
    }

    /// <summary>The lines that a charge was made of, in their order; none for a release.</summary>
    public async Task<List<ChargeLine>> ChargedAsync(string transactionId, CancellationToken ct)
    {
        await using var query = await CommandAsync(
            """
            SELECT component, quantity, unit, rate, per, rate_card, amount FROM billing.entries
            WHERE transaction_id = $1 AND account = 'platform:revenue' ORDER BY position
            """,
            ct,
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
        await using var command = await CommandAsync(
            "SELECT * FROM billing.reverse($1, $2, $3, $4, $5)", ct,
            Text(NewId(Ids.Transaction)), Text(transactionId), Text(reason), NewEntryIds(LinesOfReversal), Amount(alerts.Threshold));
        try
        {
            await using var row = await command.ExecuteReaderAsync(ct);
            if (!await row.ReadAsync(ct) || await row.IsDBNullAsync(0, ct))
            {
                return BillingErrors.NoTransaction;
            }

            alerts.Fell(HasFallen(row, 9));
            return new Reversal(Read(row), row.GetString(6), row.GetString(7), row.GetInt64(8));
        }
        catch (PostgresException e) when (e.SqlState == NotCovered)
        {
            return BillingErrors.SpentAlready;
        }
        catch (PostgresException e) when (e.SqlState == HasNoReversal)
        {
            return BillingErrors.NotReversible;
        }
        catch (PostgresException e) when (e.SqlState == HasExpired)
        {
            return BillingErrors.ExpiredAlready;
        }
    }

    private async Task<Result<Posting?>> CallAsync(string sql, CancellationToken ct, params NpgsqlParameter[] parameters)
    {
        await using var command = await CommandAsync(sql, ct, parameters);
        try
        {
            await using var row = await command.ExecuteReaderAsync(ct);
            if (!await row.ReadAsync(ct) || await row.IsDBNullAsync(0, ct))
            {
                return (Posting?)null;
            }

            alerts.Fell(HasFallen(row, 6));
            return Read(row);
        }
        catch (PostgresException e) when (e.SqlState == NotCovered)
        {
            return BillingErrors.NotCovered;
        }
        catch (PostgresException e) when (e.SqlState == BudgetExceeded)
        {
            return BillingErrors.BudgetExceeded(e.MessageText);
        }
        catch (PostgresException e) when (e.SqlState == NoAccount)
        {
            return BillingErrors.UnknownTenant;
        }
    }

    private async Task<NpgsqlCommand> CommandAsync(string sql, CancellationToken ct, params NpgsqlParameter[] parameters)
    {
        var command = new NpgsqlCommand(sql, await unit.OpenAsync(ct), unit.Transaction);
        command.Parameters.AddRange(parameters);
        return command;
    }

    private static Posting Read(NpgsqlDataReader row) =>
        new(row.GetString(0), row.GetInt64(1), row.GetFieldValue<DateTimeOffset>(2), row.GetBoolean(3), row.GetInt64(4), row.GetInt64(5));

    private static bool HasFallen(NpgsqlDataReader row, int at) => !row.IsDBNull(at) || row.GetBoolean(at + 1);

    private List<object> WithIds(IReadOnlyList<Line> lines) => lines
        .Select(l => (object)new { id = NewId(Ids.Entry), account = l.Account, amount = l.Amount, component = l.Component, quantity = l.Quantity, unit = l.Unit, rate = l.Rate, per = l.Per, rate_card = l.RateCard })
        .ToList();

    private string NewId(string prefix) => Ids.New(prefix, clock.GetUtcNow());

    private NpgsqlParameter NewEntryIds(int count) => new() { Value = Enumerable.Range(0, count).Select(_ => NewId(Ids.Entry)).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text };

    private static NpgsqlParameter Text(string? value) => new() { Value = (object?)value ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text };

    public static NpgsqlParameter Instant(DateTimeOffset? value) => new() { Value = (object?)value?.ToUniversalTime() ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.TimestampTz };

    private static NpgsqlParameter Amount(long value) => new() { Value = value, NpgsqlDbType = NpgsqlDbType.Bigint };

    private static NpgsqlParameter Jsonb(object value) => new() { Value = JsonSerializer.Serialize(value), NpgsqlDbType = NpgsqlDbType.Jsonb };
}
