using VoicePlatform.Billing.Ledger;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Billing.Answers;

internal sealed class PlaceHoldHandler(LedgerPostings ledger, RateCards cards, TimeProvider clock) : IRequestHandler<PlaceHold, Result<HoldPlaced>>
{
    public async Task<Result<HoldPlaced>> Handle(PlaceHold request, CancellationToken cancellationToken)
    {
        var card = await cards.InForceAsync(request.TenantId, request.Expected.Select(m => m.Number), cancellationToken);
        var expected = card.Cost(request.Expected);
        if (!expected.IsOk)
        {
            return expected.Error;
        }

        var amount = expected.Value.Amount;
        var holdId = Ids.New(Ids.Hold, clock.GetUtcNow());
        var posted = await ledger.PlaceHoldAsync(holdId, request.TenantId, request.SubjectId, request.AssistantId, amount, card.Id, cancellationToken);
        if (!posted.IsOk)
        {
            return posted.Error;
        }

        // Who asks again is told of the hold there is.
        return posted.Value is { Replayed: true } ? await ledger.HoldAsync(request.TenantId, request.SubjectId, cancellationToken) : new HoldPlaced(holdId, card.Id, amount);
    }
}
