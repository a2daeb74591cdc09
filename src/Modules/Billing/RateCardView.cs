using VoicePlatform.Billing.Ledger;

namespace VoicePlatform.Billing;

/// <summary>One version of prices, as the API shows it.</summary>
/// <param name="TenantId">Null: of everybody who has no card of his own.</param>
internal sealed record RateCardView(string Id, string? TenantId, int Version, DateTimeOffset ValidFrom, string Unit, IReadOnlyList<RateView> Rates)
{
    public static RateCardView Of(RateCard card) => new(
        card.Id, card.TenantId, card.Version, card.ValidFrom, Credits.Unit,
        [.. card.Rates.Values.OrderBy(r => r.Component, StringComparer.Ordinal).Select(r => new RateView(r.Component, r.Unit, r.MicroCredits, r.Per, r.Increment, r.Minimum))]);
}

/// <summary>The price of one component.</summary>
/// <param name="Rate">Micro-credits for 'per' units.</param>
/// <param name="Increment">Above the minimum, quantities are rounded up to a multiple of this.</param>
/// <param name="Minimum">Units that are charged when there was any use.</param>
internal sealed record RateView(string Component, string Unit, long Rate, long Per, long Increment, long Minimum);
