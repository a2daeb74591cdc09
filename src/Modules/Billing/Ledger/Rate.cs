using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Billing.Ledger;

/// <summary>The price of one component: rate micro-credits per 'per' units, at least 'minimum' units when used at all, in steps of 'increment' after that.</summary>
internal sealed record Rate(string Component, string Unit, long MicroCredits, long Per, long Increment, long Minimum)
{
    /// <summary>Of the numbers, in E.164, that it is the price for; empty: of all for which there is none of their own.</summary>
    public string Prefix { get; init; } = "";

    /// <summary>What the provider charges the platform for 'per' units, in micro-credits; null where that is not known. No tenant is told.</summary>
    public long? Cost { get; init; }

    /// <summary>What charge lines call it: "telephony_outbound:+4915", or the component alone.</summary>
    public string Name => NameOf(Component, Prefix);

    public static string NameOf(string component, string prefix) => prefix.Length == 0 ? component : $"{component}:{prefix}";

    /// <summary>Units that are charged for the units that were used: 60/6 is a minimum of 60 and steps of 6 from there.</summary>
    public long Billable(long quantity) =>
        quantity <= 0 ? 0
        : quantity <= Minimum ? Minimum
        : checked((long)(Minimum + (((Int128)quantity - Minimum + Increment - 1) / Increment * Increment)));

    /// <summary>Rounded half up, in 128 bits on the way.</summary>
    /// <exception cref="OverflowException">The price itself does not fit a long.</exception>
    public long Price(long billable) => Price(billable, MicroCredits, Per);

    /// <summary>The same price less so many percent. As a rate of its own, so that a line of it is rounded once.</summary>
    public Rate Less(int percent)
    {
        var shared = Shared(100 - percent, 100);
        return this with { MicroCredits = checked(MicroCredits * (100 - percent) / shared), Per = checked(Per * (100 / shared)) };

        static int Shared(int a, int b) => b == 0 ? a : Shared(b, a % b);
    }

    /// <summary>rate × quantity ÷ per, rounded half up.</summary>
    private static long Price(long quantity, long rate, long per) => checked((long)((((Int128)quantity * rate * 2) + per) / ((Int128)per * 2)));
}

/// <summary>One immutable version of prices.</summary>
/// <param name="TenantId">Null: everybody's who has no card of his own.</param>
/// <param name="Rates">By their names.</param>
internal sealed record RateCard(string Id, string? TenantId, int Version, DateTimeOffset ValidFrom, IReadOnlyDictionary<string, Rate> Rates)
{
    /// <summary>How much less than its rate costs what was used by the tenant's own key at a provider, in percent.</summary>
    public int OwnKeyDiscountPercent { get; init; } = 100;

    /// <summary>What the use costs in all; refused when it is more than a posting may carry. What the card does not price costs nothing, and is named.</summary>
    public Result<PricedUse> Cost(IEnumerable<Measured> used)
    {
        try
        {
            var (priced, unpriced) = Sort(used);
            var lines = priced.ConvertAll(p => p.Line(Id));
            var amount = lines.Aggregate(Int128.Zero, (sum, l) => sum + l.Amount);
            return amount <= Credits.Max ? new PricedUse(Id, (long)amount, lines) { Unpriced = unpriced } : BillingErrors.TooLarge;
        }
        catch (OverflowException)
        {
            return BillingErrors.TooLarge;
        }
    }

    /// <summary>
    /// What the providers charge the platform for the use, as far as the card knows it: for the units that were used, what was discarded with them.
    /// Nothing where the tenant's own key was used.
    /// </summary>
    public List<CostLine> ProviderCosts(IEnumerable<Measured> used) => used
        .Where(m => m is { Quantity: > 0, OwnKey: false })
        .GroupBy(Find)
        .Where(g => g.Key?.Cost > 0)
        .Select(g =>
        {
            var (rate, quantity) = (g.Key!, g.Aggregate(Int128.Zero, (sum, m) => sum + m.Quantity));
            return new CostLine(rate.Name, Fit(quantity), rate.Unit, rate.Cost!.Value, rate.Per, Id, Fit(((quantity * rate.Cost.Value * 2) + rate.Per) / ((Int128)rate.Per * 2)));

            // Far beyond what is ever used; a conversation must be able to end.
            static long Fit(Int128 value) => (long)Int128.Min(value, Credits.Max);
        })
        .OrderBy(l => l.Component, StringComparer.Ordinal)
        .ToList();

    /// <summary>The longest prefix wins. Null: the card has no price for it.</summary>
    private Rate? Find(Measured used)
    {
        for (var length = used.Number?.Length ?? 0; length > 0; length--)
        {
            if (Rates.TryGetValue(Rate.NameOf(used.Component, used.Number![..length]), out var rate) && rate.Unit == used.Unit)
            {
                return rate;
            }
        }

        return Rates.TryGetValue(used.Component, out var plain) && plain.Unit == used.Unit ? plain : null;
    }

    /// <summary>One line for each price, in the order of their names.</summary>
    /// <exception cref="OverflowException">A quantity does not fit a long.</exception>
    private (List<Priced> Priced, List<string> Unpriced) Sort(IEnumerable<Measured> used)
    {
        var known = used.Where(m => m is { Quantity: > 0, Discarded: false }).ToLookup(Find);
        var priced = known.Where(g => g.Key is not null)
            .SelectMany(g => g.GroupBy(m => m.OwnKey, (ownKey, of) => new Priced(
                ownKey ? g.Key!.Less(OwnKeyDiscountPercent) : g.Key!, ownKey, of.Aggregate(0L, (sum, m) => checked(sum + m.Quantity)))))
            .OrderBy(p => p.Name, StringComparer.Ordinal).ToList();
        return (priced, known[null].Select(m => m.Component).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToList());
    }

    /// <param name="Rate">As it holds for this use.</param>
    private sealed record Priced(Rate Rate, bool OwnKey, long Quantity)
    {
        public string Name => OwnKey ? Rate.Name + ":own_key" : Rate.Name;

        /// <exception cref="OverflowException">It does not fit a long.</exception>
        public ChargeLine Line(string card)
        {
            var billable = Rate.Billable(Quantity);
            return new(Name, billable, Rate.Unit, Rate.MicroCredits, Rate.Per, card, Rate.Price(billable));
        }
    }
}
