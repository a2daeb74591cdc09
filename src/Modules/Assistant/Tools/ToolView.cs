using System.Text.Json;
using System.Text.Json.Nodes;
using VoicePlatform.Assistants.Data;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Assistants.Tools;

/// <summary>A tool as the API shows it: what identifies it, then its fields, header values masked.</summary>
internal sealed record ToolView(string Id, int Revision, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt, ToolDocument Document)
{
    public static ToolView Of(Tool tool, SecretBox box) => new(tool.Id, tool.Revision, tool.CreatedAt, tool.UpdatedAt, tool.Show(box));

    public static IResult Answer(ToolView view, HttpContext http, int status = StatusCodes.Status200OK)
    {
        Etag.Tell(http, view.Revision);
        if (status == StatusCodes.Status201Created)
        {
            http.Response.Headers.Location = $"/v1/tools/{view.Id}";
        }

        return Results.Json(view.ToJson(), Json.Options, statusCode: status);
    }

    public JsonObject ToJson()
    {
        var json = JsonSerializer.SerializeToNode(new { Id, CreatedAt, UpdatedAt }, Json.Options)!.AsObject();
        foreach (var (name, value) in JsonSerializer.SerializeToNode(Document, Json.Options)!.AsObject().ToList())
        {
            json[name] = value?.DeepClone();
        }

        return json;
    }
}
