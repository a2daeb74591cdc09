using VoicePlatform.Billing.Ledger;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Billing.Answers;

internal sealed class SettleHoldHandler(LedgerPostings ledger, RateCards cards) : IRequestHandler<SettleHold, Result<Charge>>
{
    public async Task<Result<Charge>> Handle(SettleHold request, CancellationToken cancellationToken)
    {
        if (await cards.OfSubjectAsync(request.TenantId, request.SubjectId, cancellationToken) is not { } card)
        {
            return new Charge(null, 0, []);
        }

        var used = card.Cost(request.Used);
        if (!used.IsOk)
        {
            return used.Error;
        }

        var posted = await ledger.SettleHoldAsync(request.TenantId, request.SubjectId, new { }, Line.Of(used.Value.Lines), cancellationToken);
        if (!posted.IsOk)
        {
            return posted.Error;
        }

        // Who asks again is told what was charged, whatever he says now was used.
        var charged = posted.Value is { Replayed: true } first ? await ledger.ChargedAsync(first.TransactionId, cancellationToken) : used.Value.Lines;
        return new Charge(posted.Value?.TransactionId, charged.Sum(l => l.Amount), charged);
    }
}
