using VoicePlatform.Contracts.Billing;
using VoicePlatform.Trunks.Data;

namespace VoicePlatform.Trunks.Answers;

internal sealed class ListChargeableNumbersHandler(TrunkDb db) : IRequestHandler<ListChargeableNumbers, Result<IReadOnlyList<ChargeableNumber>>>
{
    public async Task<Result<IReadOnlyList<ChargeableNumber>>> Handle(ListChargeableNumbers request, CancellationToken cancellationToken) =>
        Result<IReadOnlyList<ChargeableNumber>>.Ok(await db.Numbers.AsNoTracking()
            .Where(n => string.Compare(n.Id, request.After) > 0 && (n.DeletedAt == null || n.DeletedAt >= request.Since))
            .OrderBy(n => n.Id).Take(request.Limit)
            .Select(n => new ChargeableNumber(n.Id, n.TenantId, n.Number, n.CreatedAt))
            .ToListAsync(cancellationToken));
}
