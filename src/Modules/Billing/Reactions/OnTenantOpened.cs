using VoicePlatform.Billing.Ledger;
using VoicePlatform.Contracts.Tenants;

namespace VoicePlatform.Billing.Reactions;

/// <summary>Opens a new tenant's account, with its first credits, in the transaction that makes the tenant.</summary>
internal sealed class OnTenantOpened(LedgerPostings ledger, SignupCredits signup) : INotificationHandler<TenantOpened>
{
    public async Task Handle(TenantOpened notification, CancellationToken cancellationToken)
    {
        await ledger.OpenAsync(notification.TenantId, cancellationToken);
        if (signup.Credits <= 0)
        {
            return;
        }

        await ledger.GrantAsync(notification.TenantId, "signup", new { reason = "signup" }, signup.Credits * Credits.One, expiresAt: null, cancellationToken);
    }
}
