using VoicePlatform.Assistants.Data;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Assistants.Answers;

internal sealed class FindAssistantHandler(AssistantDb db) : IRequestHandler<FindAssistant, Result<AssistantVersion>>
{
    public async Task<Result<AssistantVersion>> Handle(FindAssistant request, CancellationToken cancellationToken)
    {
        // A pinned version stays readable after the assistant is deleted: a conversation that runs goes on.
        var found = await db.Assistants.AsNoTracking()
            .Where(a => a.Id == request.AssistantId && a.TenantId == request.TenantId && (a.DeletedAt == null || request.Version != null))
            .Join(db.Versions, a => a.Id, v => v.AssistantId, (a, v) => new { Current = a.Version, v.Version, v.Document })
            .Where(x => x.Version == (request.Version ?? x.Current))
            .SingleOrDefaultAsync(cancellationToken);
        return found is null
            ? AssistantErrors.NotFound
            : new AssistantVersion(request.AssistantId, found.Version, Json.Read<AssistantDocument>(found.Document));
    }
}
