using VoicePlatform.Billing.Ledger;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Billing.Answers;

internal sealed class PriceUseHandler(RateCards cards) : IRequestHandler<PriceUse, Result<PricedUse>>
{
    public async Task<Result<PricedUse>> Handle(PriceUse request, CancellationToken cancellationToken) =>
        (await cards.InForceAsync(request.TenantId, request.Used.Select(m => m.Number), cancellationToken)).Cost(request.Used);
}
