using VoicePlatform.Billing.Ledger;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Billing.Answers;

internal sealed class SettleHoldHandler(LedgerPostings ledger, RateCards cards, IMediator mediator) : IRequestHandler<SettleHold, Result<Charge>>
{
    public async Task<Result<Charge>> Handle(SettleHold request, CancellationToken cancellationToken)
    {
        if (await cards.OfSubjectAsync(request.TenantId, request.SubjectId, cancellationToken) is not { } card)
        {
            return new Charge(null, 0, []);
        }

        var (used, isCut) = card.Bear(request.Used);
        var posted = await ledger.SettleHoldAsync(request.TenantId, request.SubjectId, new { }, Line.Of(used.Lines), cancellationToken);
        if (!posted.IsOk)
        {
            return posted.Error;
        }

        if (isCut && posted.Value is { Replayed: false })
        {
            var noted = await mediator.Send(new NoteDifference(new("charge_cut", request.SubjectId, request.TenantId, used.Amount, null)), cancellationToken);
            if (!noted.IsOk)
            {
                return noted.Error;
            }
        }

        // Who asks again is told what was charged, whatever he says now was used.
        var charged = posted.Value is { Replayed: true } first ? await ledger.ChargedAsync(first.TransactionId, cancellationToken) : used.Lines;
        return new Charge(posted.Value?.TransactionId, charged.Sum(l => l.Amount), charged);
    }
}
