using System.Reflection;
using System.Text.Json.Nodes;

namespace VoicePlatform.Host.OpenApi;

/// <summary>A request and its answer for every operation, from Examples/&lt;operationId&gt;.json; the tests send them to a real host.</summary>
internal static class Examples
{
    private static readonly Assembly Here = typeof(Examples).Assembly;

    public static JsonObject? Of(string operationId)
    {
        using var file = Here.GetManifestResourceStream($"examples/{operationId}.json");
        return file is null ? null : JsonNode.Parse(file)!.AsObject();
    }

    public static void AddTo(JsonObject document)
    {
        foreach (var operation in document["paths"]!.AsObject().SelectMany(p => p.Value!.AsObject()).Select(o => o.Value).OfType<JsonObject>())
        {
            if (operation["operationId"]?.GetValue<string>() is not { } id || Of(id) is not { } example)
            {
                continue;
            }

            if (example["request"] is { } request && operation["requestBody"]?["content"]?["application/json"] is JsonObject body)
            {
                body["example"] = request.DeepClone();
            }

            if (example["answer"] is { } answer && operation["responses"]!.AsObject().FirstOrDefault(r => r.Key[0] == '2').Value is JsonObject response)
            {
                response["content"] ??= new JsonObject { ["application/json"] = new JsonObject() };
                response["content"]!["application/json"]!["example"] = answer.DeepClone();
            }
        }
    }
}
