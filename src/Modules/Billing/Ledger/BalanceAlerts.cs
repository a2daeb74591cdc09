using Dapper;
using VoicePlatform.SharedKernel.Outbox;

namespace VoicePlatform.Billing.Ledger;

/// <summary>Whole credits below which a tenant that has set no threshold of its own is told (BILLING_LOW_BALANCE).</summary>
internal sealed record LowBalance(long Credits);

/// <summary>
/// When a tenant is told that its credits run low. That they do is found by the ledger's functions, which leave a fact in the outbox for it
/// (<see cref="Reactions.OnBalanceFell"/>).
/// </summary>
internal sealed class BalanceAlerts(UnitOfWork unit, [FromKeyedServices(typeof(OutboxWriter))] WakeUp outbox, LowBalance installation)
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
        var set = await unit.Connection.QuerySingleOrDefaultAsync<(int Revision, long? Fell)>(new(
            "SELECT revision, low_balance FROM billing.set_alerts(@tenantId, @lowBalance, @email, @Threshold)",
            new { tenantId, lowBalance, email, Threshold }, unit.Transaction, cancellationToken: ct));
        if (set.Revision == 0)
        {
            return null;
        }

        Fell(set.Fell is not null);
        return (ViewOf(lowBalance, email), set.Revision);
    }

    /// <summary>What a function has left in the outbox is told as soon as it is committed, not with the next look.</summary>
    public void Fell(bool hasFallen)
    {
        if (hasFallen && unit.IsActive)
        {
            unit.AfterCommit(outbox.Wake);
        }
        else if (hasFallen)
        {
            outbox.Wake();
        }
    }

    private AlertsView ViewOf(long? lowBalance, string? email) => new(lowBalance, email, lowBalance ?? Threshold, Credits.Unit);
}
