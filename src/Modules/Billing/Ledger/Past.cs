using Npgsql;

namespace VoicePlatform.Billing.Ledger;

/// <summary>
/// Makes what is over final: a posting takes its time before it commits, so one may be on its way into a time that somebody reads. Who closes the time
/// first waits for it, and nothing is posted into it afterwards, whatever the clock does.
/// </summary>
internal sealed class Past(UnitOfWork unit)
{
    /// <summary>Call it before reading, and outside a transaction: what it waits for must be seen, and what it locks is let go at once.</summary>
    /// <returns>False: the instant is still to come, and nothing is final.</returns>
    public async Task<bool> CloseAsync(string tenantId, DateTimeOffset until, CancellationToken ct)
    {
        await using var close = new NpgsqlCommand("SELECT billing.close_until($1, $2)", await unit.OpenAsync(ct), unit.Transaction);
        close.Parameters.Add(new() { Value = tenantId });
        close.Parameters.Add(new() { Value = until.ToUniversalTime() });
        return (bool)(await close.ExecuteScalarAsync(ct))!;
    }
}
