using VoicePlatform.Billing.Ledger;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Billing.Answers;

internal sealed class ChargeLateUseHandler(LedgerPostings ledger, RateCards cards, ProviderCosts costs, IMediator mediator) : IRequestHandler<ChargeLateUse, Result<Charge>>
{
    public async Task<Result<Charge>> Handle(ChargeLateUse request, CancellationToken cancellationToken)
    {
        if (await cards.OfSubjectAsync(request.TenantId, request.SubjectId, request.After.Select(m => m.Number), cancellationToken) is not { } card)
        {
            return new Charge(null, 0, []);
        }

        // Increments, minimums and rounding are of the whole, so the whole is priced twice.
        var known = card.Bear(request.Before).Use;
        var (all, isCut) = card.Bear(request.After);

        // Totals only grow: what they are now names the step.
        var key = string.Join(',', request.After.Where(m => !m.Discarded).Select(m => $"{m.Component}{(m.OwnKey ? ":own_key" : "")}={m.Quantity}").Order(StringComparer.Ordinal));
        await BookAsync(request, card, key, cancellationToken);

        var before = known.Lines.ToDictionary(l => l.Component);
        var lines = all.Lines
            .Select(l => before.TryGetValue(l.Component, out var b) ? l with { Quantity = l.Quantity - b.Quantity, Amount = l.Amount - b.Amount } : l)
            .Where(l => l.Amount > 0).ToList();
        if (lines.Count == 0)
        {
            return new Charge(null, 0, []);
        }

        var posted = await ledger.ChargeLateAsync(request.TenantId, request.SubjectId, key, Line.Of(lines), cancellationToken);
        if (!posted.IsOk)
        {
            return posted.Error;
        }

        if (isCut && posted.Value is { Replayed: false })
        {
            var noted = await mediator.Send(new NoteDifference(new("charge_cut", request.SubjectId, request.TenantId, all.Amount, null)), cancellationToken);
            if (!noted.IsOk)
            {
                return noted.Error;
            }
        }

        return new Charge(posted.Value?.TransactionId, lines.Sum(l => l.Amount), lines);
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
