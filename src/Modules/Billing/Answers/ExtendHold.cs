using VoicePlatform.Billing.Ledger;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Billing.Answers;

internal sealed class ExtendHoldHandler(LedgerPostings ledger, RateCards cards) : IRequestHandler<ExtendHold, Result<Cover>>
{
    public async Task<Result<Cover>> Handle(ExtendHold request, CancellationToken cancellationToken)
    {
        if (await cards.OfSubjectAsync(request.TenantId, request.SubjectId, request.Expected.Select(m => m.Number), cancellationToken) is not { } card)
        {
            return Cover.NotNeeded;
        }

        var expected = card.Cost(request.Expected);
        if (!expected.IsOk)
        {
            return expected.Error;
        }

        var needed = request.Needed is null ? expected : card.Cost(request.Needed);
        if (!needed.IsOk)
        {
            return needed.Error;
        }

        var posted = await ledger.ExtendHoldAsync(request.TenantId, request.SubjectId, expected.Value.Amount, needed.Value.Amount, cancellationToken);
        return !posted.IsOk ? posted.Error
            : posted.Value is not null || await ledger.IsHeldAsync(request.TenantId, request.SubjectId, cancellationToken) ? Cover.Held
            : Cover.Over;
    }
}
