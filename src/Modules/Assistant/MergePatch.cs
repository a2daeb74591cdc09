using System.Text.Json;
using System.Text.Json.Nodes;

namespace VoicePlatform.Assistants;

/// <summary>RFC 7396: null removes, objects merge, everything else replaces.</summary>
internal static class MergePatch
{
    public static void Apply(JsonObject target, JsonElement patch)
    {
        foreach (var field in patch.EnumerateObject())
        {
            switch (field.Value.ValueKind)
            {
                case JsonValueKind.Null:
                    target.Remove(field.Name);
                    break;
                case JsonValueKind.Object:
                    if (target[field.Name] is not JsonObject inner)
                    {
                        target[field.Name] = inner = [];
                    }

                    Apply(inner, field.Value);
                    break;
                default:
                    target[field.Name] = JsonNode.Parse(field.Value.GetRawText());
                    break;
            }
        }
    }
}
