using VoicePlatform.SharedKernel.Outbox;

namespace VoicePlatform.Contracts.Billing;

/// <summary>A tenant's credits have fallen below its threshold, or to nothing. Staged by the ledger's functions, in the statement that makes it so.</summary>
public sealed record BalanceFell(string TenantId) : IIntegrationEvent
{
    public static string Name => "billing.balance_fell.v1";
}
