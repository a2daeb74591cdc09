using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Billing.Ledger;

/// <summary>What a finished conversation is charged, whatever is said to have been used: it must be able to end.</summary>
internal static class Bearable
{
    /// <summary>The most units of a component that a line carries: sums of quantities stay far from overflow.</summary>
    private const long MaxUnits = Credits.Max;

    /// <summary>The price of the use; where no posting carries it, of as much as one does, component by component. Every line is what its quantity costs.</summary>
    public static (PricedUse Use, bool IsCut) Bear(this RateCard card, IReadOnlyList<Measured> used)
    {
        if (used.All(m => m.Quantity <= MaxUnits) && card.Cost(used) is { IsOk: true } whole)
        {
            return (whole.Value, false);
        }

        var lines = new List<ChargeLine>();
        var room = Credits.Max;
        foreach (var measured in used.OrderBy(m => m.Component, StringComparer.Ordinal))
        {
            var line = Most(card, measured, room);
            lines.AddRange(line);
            room -= line.Sum(l => l.Amount);
        }

        return (new(card.Id, Credits.Max - room, lines), true);
    }

    /// <summary>The line of the largest quantity that costs no more than this, found by halving; none where even one unit does.</summary>
    private static IReadOnlyList<ChargeLine> Most(RateCard card, Measured measured, long room)
    {
        IReadOnlyList<ChargeLine> most = [];
        var (fits, tooMuch) = (0L, Math.Min(measured.Quantity, MaxUnits) + 1);
        while (fits + 1 < tooMuch)
        {
            var middle = fits + ((tooMuch - fits) / 2);
            if (card.Cost([measured with { Quantity = middle }]) is { IsOk: true } priced && priced.Value.Amount <= room)
            {
                (fits, most) = (middle, priced.Value.Lines);
            }
            else
            {
                tooMuch = middle;
            }
        }

        return most;
    }
}
