using VoicePlatform.Assistants.Data;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Assistants.Answers;

internal sealed class FindToolsHandler(AssistantDb db, SecretBox box) : IRequestHandler<FindTools, Result<ToolSet>>
{
    public async Task<Result<ToolSet>> Handle(FindTools request, CancellationToken cancellationToken)
    {
        if (request.ToolIds.Count == 0)
        {
            return new ToolSet([]);
        }

        var rows = await db.Tools.AsNoTracking()
            .Where(t => t.TenantId == request.TenantId && t.DeletedAt == null && request.ToolIds.Contains(t.Id))
            .ToListAsync(cancellationToken);
        return new ToolSet(request.ToolIds.SelectMany(id => rows.Where(t => t.Id == id)).Select(t => t.Open(box)).ToList());
    }
}
