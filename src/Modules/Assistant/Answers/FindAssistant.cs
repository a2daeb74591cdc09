using System.Text.Json;
using System.Text.Json.Nodes;
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
        if (found is null)
        {
            return AssistantErrors.NotFound;
        }

        var document = request.OverridesJson is { } overrides ? Override(found.Document, overrides) : Json.Read<AssistantDocument>(found.Document);
        return document.IsOk
            ? new AssistantVersion(request.AssistantId, found.Version, request.IsTest ? LocalModels.Of(document.Value) : document.Value)
            : document.Error;
    }

    private static Result<AssistantDocument> Override(string documentJson, string overridesJson)
    {
        var merged = JsonNode.Parse(documentJson)!.AsObject();
        MergePatch.Apply(merged, Json.Read<JsonElement>(overridesJson));
        var document = DocumentRules.Read(JsonSerializer.SerializeToElement(merged, Json.Options));
        return document.IsOk
            ? document
            : document.Error with { Fields = document.Error.Fields.Select(f => f with { Field = $"assistant_overrides.{f.Field}" }).ToList() };
    }
}
