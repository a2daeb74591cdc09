using VoicePlatform.Assistants.Data;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Assistants.Answers;

internal sealed class PickAssistantsHandler(AssistantDb db) : IRequestHandler<PickAssistants, Result<IReadOnlyList<string>>>
{
    public async Task<Result<IReadOnlyList<string>>> Handle(PickAssistants request, CancellationToken cancellationToken) =>
        Result<IReadOnlyList<string>>.Ok(await db.Assistants.AsNoTracking()
            .Where(a => a.TenantId == request.TenantId && a.DeletedAt == null && request.Ids.Contains(a.Id))
            .Select(a => a.Id)
            .ToListAsync(cancellationToken));
}
