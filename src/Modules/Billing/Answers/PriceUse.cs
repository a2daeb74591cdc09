using VoicePlatform.Billing.Ledger;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Billing.Answers;

internal sealed class PriceUseHandler(RateCards cards) : IRequestHandler<PriceUse, Result<PricedUse>>
{
    public async Task<Result<PricedUse>> Handle(PriceUse request, CancellationToken cancellationToken)
    {
        var card = await cards.InForceAsync(request.TenantId, cancellationToken);
        var lines = card.Price(request.Used);
        return new PricedUse(card.Id, lines.Sum(l => l.Amount), lines);
    }
}
