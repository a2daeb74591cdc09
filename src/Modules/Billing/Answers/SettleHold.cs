using VoicePlatform.Billing.Ledger;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Billing.Answers;

internal sealed partial class SettleHoldHandler(LedgerPostings ledger, RateCards cards, ProviderCosts costs, IMediator mediator, ILogger<SettleHoldHandler> log)
    : IRequestHandler<SettleHold, Result<Charge>>
{
    public async Task<Result<Charge>> Handle(SettleHold request, CancellationToken cancellationToken)
    {
        if (await cards.OfSubjectAsync(request.TenantId, request.SubjectId, request.Used.Select(m => m.Number), cancellationToken) is not { } card)
        {
            return new Charge(null, 0, []);
        }

        var (used, isCut) = card.Bear(request.Used);

        // What has no price must not keep a conversation from its end: it costs nothing, and the charge says so.
        var unpriced = used.Unpriced;
        object metadata = unpriced.Count == 0 ? new { } : new { unpriced };
        if (unpriced.Count > 0)
        {
            Unpriced(log, card.Id, string.Join(", ", unpriced), request.SubjectId);
        }

        var posted = await ledger.SettleHoldAsync(request.TenantId, request.SubjectId, metadata, Line.Of(used.Lines), cancellationToken);
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
        if (posted.Value is { Replayed: true } first)
        {
            var charged = await ledger.ChargedAsync(first.TransactionId, cancellationToken);
            return new Charge(first.TransactionId, charged.Sum(l => l.Amount), charged);
        }

        await costs.BookAsync(request.TenantId, $"end:{request.SubjectId}", request.SubjectId, card.ProviderCosts(request.Used), cancellationToken);
        return new Charge(posted.Value?.TransactionId, used.Amount, used.Lines);
    }

    [LoggerMessage(LogLevel.Warning, "Rate card {Card} has no price for {Components}, which {SubjectId} used: it costs nothing")]
    private static partial void Unpriced(ILogger log, string card, string components, string subjectId);
}
