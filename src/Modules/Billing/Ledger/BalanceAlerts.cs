using Dapper;
using VoicePlatform.Contracts.Tenants;

namespace VoicePlatform.Billing.Ledger;

/// <summary>Whole credits below which a tenant that has set no threshold of its own is told (BILLING_LOW_BALANCE).</summary>
internal sealed record LowBalance(long Credits);

/// <summary>What a change of the balance has led to, as the database found it under the head's lock.</summary>
/// <param name="Threshold">The one that the balance fell below, in micro-credits; null: none.</param>
/// <param name="IsExhausted">Nothing is left.</param>
internal readonly record struct Fall(long? Threshold, bool IsExhausted);

/// <summary>When a tenant is told that its credits run low, and the telling.</summary>
internal sealed class BalanceAlerts(UnitOfWork unit, IMediator mediator, LowBalance installation)
{
    /// <summary>The installation's, in micro-credits.</summary>
    public long Threshold => installation.Credits * Credits.One;

    public async Task<(AlertsView Alerts, int Revision)> ReadAsync(string tenantId, CancellationToken ct)
    {
        var kept = await (await unit.OpenAsync(ct)).QuerySingleOrDefaultAsync<(long? LowBalance, string? Email, int Revision)>(new(
            "SELECT low_balance, email, revision FROM billing.alerts WHERE tenant_id = @tenantId", new { tenantId }, unit.Transaction, cancellationToken: ct));
        return (ViewOf(kept.LowBalance, kept.Email), kept.Revision);
    }

    /// <summary>Answers null when the tenant has no account.</summary>
    public async Task<(AlertsView Alerts, int Revision)?> SetAsync(string tenantId, long? lowBalance, string? email, CancellationToken ct)
    {
        var set = await unit.Connection.QuerySingleOrDefaultAsync<(int Revision, long Available, long Held, long CreditLimit, long? Fell)>(new(
            "SELECT revision, available, held, credit_limit, low_balance FROM billing.set_alerts(@tenantId, @lowBalance, @email, @Threshold)",
            new { tenantId, lowBalance, email, Threshold }, unit.Transaction, cancellationToken: ct));
        if (set.Revision == 0)
        {
            return null;
        }

        await TellAsync(tenantId, set.Available + set.Held, new(set.Fell, IsExhausted: false), ct);
        return (ViewOf(lowBalance, email), set.Revision);
    }

    /// <summary>
    /// An event each, and one mail, in the transaction of the fall: told when it commits, and once. Their only lock is the tenant's own, behind the head's.
    /// </summary>
    /// <param name="posted">The balance that it led to, in micro-credits.</param>
    public async Task TellAsync(string tenantId, long posted, Fall fall, CancellationToken ct)
    {
        if (fall is { Threshold: null, IsExhausted: false })
        {
            return;
        }

        var (limit, email) = await unit.Connection.QuerySingleAsync<(long CreditLimit, string? Email)>(new(
            "SELECT h.credit_limit, a.email FROM billing.heads h LEFT JOIN billing.alerts a ON a.tenant_id = h.tenant_id WHERE h.tenant_id = @tenantId",
            new { tenantId }, unit.Transaction, cancellationToken: ct));
        if (fall.Threshold is { } threshold)
        {
            await AnnounceAsync(tenantId, "balance.low", new { balance = posted, credit_limit = limit, threshold, unit = Credits.Unit }, ct);
        }

        if (fall.IsExhausted)
        {
            await AnnounceAsync(tenantId, "balance.exhausted", new { balance = posted, credit_limit = limit, unit = Credits.Unit }, ct);
        }

        var (subject, text) = fall.IsExhausted
            ? ("Your credits are used up",
                $"The balance is {Statement.InCredits(posted)} credits, with a credit limit of {Statement.InCredits(limit)}. Calls and sessions are refused until there are credits again.")
            : ("Your credits run low",
                $"The balance is {Statement.InCredits(posted)} credits, with a credit limit of {Statement.InCredits(limit)}: less than the {Statement.InCredits(fall.Threshold!.Value)} at which you wanted to be told.");
        text += "\n\nPUT /v1/billing/alerts changes when and to whom this is told; GET /v1/billing/transactions shows what was spent.\n";
        await (email is null
            ? mediator.Send(new MailContacts(tenantId, subject, text), ct)
            : mediator.Send(new SendMail(tenantId, email, subject, text), ct));
    }

    private AlertsView ViewOf(long? lowBalance, string? email) => new(lowBalance, email, lowBalance ?? Threshold, Credits.Unit);

    private Task AnnounceAsync(string tenantId, string type, object data, CancellationToken ct) =>
        mediator.Send(new Announce(tenantId, type, tenantId, Json.Write(data), IsTest: false), ct);
}
