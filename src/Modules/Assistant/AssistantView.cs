using System.Text.Json;
using System.Text.Json.Nodes;
using VoicePlatform.Assistants.Data;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Assistants;

/// <summary>An assistant as the API shows it: what identifies it, then the fields of its document.</summary>
internal sealed record AssistantView(string Id, int Version, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt, AssistantDocument Document)
{
    public static AssistantView Of(Assistant assistant, AssistantDocument document) =>
        new(assistant.Id, assistant.Version, assistant.CreatedAt, assistant.UpdatedAt, document);

    public static IResult Answer(AssistantView view, HttpContext http, int status = StatusCodes.Status200OK)
    {
        Etag.Tell(http, view.Version);
        if (status == StatusCodes.Status201Created)
        {
            http.Response.Headers.Location = $"/v1/assistants/{view.Id}";
        }

        return Results.Json(view.ToJson(), Json.Options, statusCode: status);
    }

    public JsonObject ToJson()
    {
        var json = JsonSerializer.SerializeToNode(new { Id, Version, CreatedAt, UpdatedAt }, Json.Options)!.AsObject();
        foreach (var (name, value) in JsonSerializer.SerializeToNode(Document, Json.Options)!.AsObject().ToList())
        {
            json[name] = value?.DeepClone();
        }

        return json;
    }
}
