using VoicePlatform.Billing.Ledger;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Billing.Answers;

internal sealed class ChargeLateUseHandler(LedgerPostings ledger, RateCards cards, ProviderCosts costs) : IRequestHandler<ChargeLateUse, Result<Charge>>
{
    public async Task<Result<Charge>> Handle(ChargeLateUse request, CancellationToken cancellationToken)
    {
        if (await cards.OfSubjectAsync(request.TenantId, request.SubjectId, request.After.Select(m => m.Number), cancellationToken) is not { } card)
        {
            return new Charge(null, 0, []);
        }

        // Increments, minimums and rounding are of the whole, so the whole is priced twice.
        var (known, all) = (card.Cost(request.Before), card.Cost(request.After));
        if (!known.IsOk || !all.IsOk)
        {
            return known.Error ?? all.Error!;
        }

        // Totals only grow: what they are now names the step.
        var key = string.Join(',', request.After.Where(m => !m.Discarded).Select(m => $"{m.Component}{(m.OwnKey ? ":own_key" : "")}={m.Quantity}").Order(StringComparer.Ordinal));
        await BookAsync(request, card, key, cancellationToken);

        var before = known.Value.Lines.ToDictionary(l => l.Component);
        var lines = all.Value.Lines
            .Select(l => before.TryGetValue(l.Component, out var b) ? l with { Quantity = l.Quantity - b.Quantity, Amount = l.Amount - b.Amount } : l)
            .Where(l => l.Amount > 0).ToList();
        if (lines.Count == 0)
        {
            return new Charge(null, 0, []);
        }

        var posted = await ledger.ChargeLateAsync(request.TenantId, request.SubjectId, key, Line.Of(lines), cancellationToken);
        return posted.IsOk ? new Charge(posted.Value?.TransactionId, lines.Sum(l => l.Amount), lines) : posted.Error;
    }

    /// <summary>What it costs the platform more than was booked.</summary>
    private Task BookAsync(ChargeLateUse request, RateCard card, string key, CancellationToken ct)
    {
        var before = card.ProviderCosts(request.Before).ToDictionary(l => l.Component);
        var lines = card.ProviderCosts(request.After)
            .Select(l => before.TryGetValue(l.Component, out var b) ? l with { Quantity = l.Quantity - b.Quantity, Amount = l.Amount - b.Amount } : l)
            .Where(l => l.Quantity > 0).ToList();
        var discarded = request.After.Where(m => m.Discarded).Sum(m => m.Quantity);
        return costs.BookAsync(request.TenantId, $"late:{request.SubjectId}:{key}{(discarded > 0 ? $",discarded={discarded}" : "")}", request.SubjectId, lines, ct);
    }
}
