using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace VoicePlatform.Sessions.Data;

/// <summary>What a device of seed 000 prefers. Its conversations know it as variables; "prompt" and "greeting" replace the assistant's.</summary>
internal sealed partial class DeviceSettings
{
    public const int MaxLength = 16 * 1024;

    public string TenantId { get; init; } = "";
    public string DeviceId { get; init; } = "";

    /// <summary>JSON object.</summary>
    public string Settings { get; set; } = "{}";
    public DateTimeOffset UpdatedAt { get; set; }

    /// <summary>What may be kept: how speech is made is the installation's to say, so names that speak of it are dropped.</summary>
    public static JsonObject Kept(JsonElement given)
    {
        var kept = new JsonObject();
        foreach (var field in given.EnumerateObject().Where(f => !Speech().IsMatch(f.Name) && !IsOurs(f.Name)))
        {
            kept[field.Name] = JsonNode.Parse(field.Value.GetRawText());
        }

        return kept;
    }

    /// <summary>As the API shows them: the settings as they were put, and whose they are.</summary>
    public static JsonObject Shown(string deviceId, string settings, DateTimeOffset? updatedAt)
    {
        var shown = JsonNode.Parse(settings)!.AsObject();
        shown["deviceId"] = deviceId;
        shown["updatedAt"] = JsonSerializer.SerializeToNode(updatedAt, Json.Options);
        return shown;
    }

    /// <summary>Single values, for {{name}} in prompt and greeting.</summary>
    public static Dictionary<string, string> Variables(string settings) => Json.Read<JsonElement>(settings).EnumerateObject()
        .Where(f => f.Value.ValueKind is JsonValueKind.String or JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False && f.Name.Length <= 64)
        .Select(f => (f.Name, Value: f.Value.ToString()))
        .Where(f => f.Value.Length <= 4000)
        .ToDictionary(f => f.Name, f => f.Value);

    /// <param name="llm">The model that answers; null: the assistant's.</param>
    public static string? Overrides(string settings, string? llm)
    {
        var (given, changes) = (Json.Read<JsonElement>(settings), new JsonObject());
        if (Text("prompt") is { } prompt)
        {
            changes["prompt"] = prompt;
        }

        if (Text("greeting") is { } greeting)
        {
            changes["greeting"] = new JsonObject { ["text"] = greeting, ["mode"] = "verbatim" };
        }

        if (llm is not null)
        {
            changes["llm"] = new JsonObject { ["model"] = llm, ["fallbacks"] = new JsonArray() };
        }

        return changes.Count == 0 ? null : changes.ToJsonString();

        string? Text(string name) => given.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.String && value.GetString() is { Length: > 0 and <= 4000 } text ? text : null;
    }

    private static bool IsOurs(string name) => name is "deviceId" or "updatedAt";

    [GeneratedRegex("stt|tts|asr|speech|voice|provider|model|api_?key|secret", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.NonBacktracking)]
    private static partial Regex Speech();
}
