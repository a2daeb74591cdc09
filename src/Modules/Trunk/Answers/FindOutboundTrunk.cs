using VoicePlatform.Contracts.Trunks;
using VoicePlatform.Trunks.Data;

namespace VoicePlatform.Trunks.Answers;

internal sealed class FindOutboundTrunkHandler(TrunkDb db) : IRequestHandler<FindOutboundTrunk, Result<OutboundTrunk>>
{
    public async Task<Result<OutboundTrunk>> Handle(FindOutboundTrunk request, CancellationToken cancellationToken) =>
        await db.Trunks.AsNoTracking().SingleOrDefaultAsync(
            t => t.Id == request.TrunkId && t.TenantId == request.TenantId && t.DeletedAt == null && t.Direction == TrunkDirection.Outbound, cancellationToken) is { } trunk
            ? new OutboundTrunk(
                trunk.Id, trunk.Name, trunk.Numbers, trunk.MaxConcurrent, trunk.CallsPerSecond,
                trunk.SyncedRevision == trunk.Revision ? trunk.LivekitTrunkId : null)
            : TrunkErrors.NotFound;
}
