using System.Text.Json.Serialization;
using VoicePlatform.Billing.Ledger;

namespace VoicePlatform.Billing;

/// <summary>One version of prices, as the API shows it.</summary>
/// <param name="TenantId">Null: of everybody who has no card of his own.</param>
/// <param name="OwnKeyDiscountPercent">How much less than its rate costs what was used by the tenant's own key at a provider.</param>
internal sealed record RateCardView(string Id, string? TenantId, int Version, DateTimeOffset ValidFrom, string Unit, int OwnKeyDiscountPercent, IReadOnlyList<RateView> Rates)
{
    /// <summary>As tenants see it: without what it costs the platform.</summary>
    public static RateCardView Of(RateCard card) => Of(card, withCost: false);

    /// <param name="withCost">For the operator's eyes.</param>
    public static RateCardView Of(RateCard card, bool withCost) => new(
        card.Id, card.TenantId, card.Version, card.ValidFrom, Credits.Unit, card.OwnKeyDiscountPercent,
        [.. card.Rates.Values.OrderBy(r => r.Component, StringComparer.Ordinal).ThenBy(r => r.Prefix, StringComparer.Ordinal).Select(r => new RateView(
            r.Component, r.Prefix.Length == 0 ? null : r.Prefix, r.Unit, r.MicroCredits, r.Per, r.Increment, r.Minimum, withCost ? r.Cost : null))]);
}

/// <summary>The price of one component.</summary>
/// <param name="Prefix">Of the numbers that it is the price for, in E.164; null: all for which there is no longer one.</param>
/// <param name="Rate">Micro-credits for 'per' units.</param>
/// <param name="Increment">Above the minimum, quantities are rounded up to a multiple of this.</param>
/// <param name="Minimum">Units that are charged when there was any use.</param>
/// <param name="Cost">What the provider charges the platform for 'per' units, in micro-credits; only the operator is told, where it is known.</param>
internal sealed record RateView(
    string Component, string? Prefix, string Unit, long Rate, long Per, long Increment, long Minimum,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? Cost);
