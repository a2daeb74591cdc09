using VoicePlatform.Contracts.Trunks;
using VoicePlatform.Trunks.Data;

namespace VoicePlatform.Trunks.Answers;

internal sealed class FindNumberHandler(TrunkDb db) : IRequestHandler<FindNumber, Result<InboundNumber>>
{
    public async Task<Result<InboundNumber>> Handle(FindNumber request, CancellationToken cancellationToken)
    {
        var number = E164.Normalize(request.Number);
        var found = await db.Numbers.AsNoTracking()
            .Where(n => n.Number == number && n.DeletedAt == null)
            .Join(db.Trunks.Where(t => t.LivekitTrunkId == request.LiveKitTrunkId), n => n.TrunkId, t => t.Id, (n, t) => new { Number = n, t.MaxConcurrent })
            .SingleOrDefaultAsync(cancellationToken);
        if (found is null)
        {
            // A stranger's trunk on a shared server, and a number of ours that leads nowhere, are different things.
            return await db.Trunks.AnyAsync(t => t.LivekitTrunkId == request.LiveKitTrunkId, cancellationToken) ? TrunkErrors.NumberNotFound : TrunkErrors.NotFound;
        }

        return new InboundNumber(
                found.Number.Id, found.Number.TenantId, found.Number.TrunkId, found.Number.Number, found.Number.AssistantId, found.Number.ContextUrl, found.MaxConcurrent);
    }
}
