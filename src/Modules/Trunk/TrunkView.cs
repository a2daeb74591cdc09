using System.Text.Json;
using System.Text.Json.Nodes;
using VoicePlatform.Trunks.Data;

namespace VoicePlatform.Trunks;

/// <summary>A trunk as the API shows it: what identifies it, its settings, and whether LiveKit has it yet.</summary>
internal sealed record TrunkView(string Id, int Revision, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt, bool IsSynced, string? SyncError, TrunkSettings Settings)
{
    public static TrunkView Of(Trunk t) => new(t.Id, t.Revision, t.CreatedAt, t.UpdatedAt, t.SyncedRevision == t.Revision, t.SyncError, TrunkSettings.Of(t));

    public static IResult Answer(TrunkView view, HttpContext http, int status = StatusCodes.Status200OK)
    {
        Etag.Tell(http, view.Revision);
        if (status == StatusCodes.Status201Created)
        {
            http.Response.Headers.Location = $"/v1/trunks/{view.Id}";
        }

        return Results.Json(view.ToJson(), Json.Options, statusCode: status);
    }

    public JsonObject ToJson()
    {
        var json = JsonSerializer.SerializeToNode(new { Id, CreatedAt, UpdatedAt }, Json.Options)!.AsObject();
        foreach (var (name, value) in JsonSerializer.SerializeToNode(Settings, Json.Options)!.AsObject().ToList())
        {
            json[name] = value?.DeepClone();
        }

        json["sync"] = JsonSerializer.SerializeToNode(new { Status = IsSynced ? "synced" : "pending", Error = SyncError }, Json.Options);
        return json;
    }
}

internal sealed record NumberView(
    string Id, string Number, string TrunkId, string AssistantId, string Name, string? ContextUrl, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt)
{
    public static NumberView Of(PhoneNumber n) => new(n.Id, n.Number, n.TrunkId, n.AssistantId, n.Name, n.ContextUrl, n.CreatedAt, n.UpdatedAt);
}

/// <summary>A number with the revision that its entity tag tells.</summary>
internal sealed record NumberAnswer(NumberView Number, int Revision)
{
    public static NumberAnswer Of(PhoneNumber n) => new(NumberView.Of(n), n.Revision);

    public static IResult Tell(NumberAnswer answer, HttpContext http, int status = StatusCodes.Status200OK)
    {
        Etag.Tell(http, answer.Revision);
        if (status == StatusCodes.Status201Created)
        {
            http.Response.Headers.Location = $"/v1/numbers/{answer.Number.Id}";
        }

        return Results.Json(answer.Number, Json.Options, statusCode: status);
    }
}
