using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using VoicePlatform.Agent.Tools;
using VoicePlatform.Contracts.Agent;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Agent.Language;

/// <summary>
/// The form that a model fills in about a conversation: a function it is to call, or where it answers in words, the same as JSON. What it writes is
/// checked; a value of the wrong kind is a mistake it is told of, one that is missing was not said.
/// </summary>
internal sealed class AnalysisForm(AnalysisSettings settings)
{
    public const string Instructions =
        """
        You read a conversation between an assistant and a caller that is over, and fill in a form about it with the function record_analysis. Call it once,
        and say nothing else. Go by what was said alone: what was not said, leave out. Write in the language of the conversation.
        """;

    private const string Name = "record_analysis";
    private const int TextMaxBytes = 8_000;

    // More than an hour of talk; of what is longer, the beginning and the end say most.
    private const int ConversationMaxLength = 200_000;

    public ToolDefinition Definition { get; } = new(Name, "Records what was found out about the conversation.", Parameters(settings).ToJsonString());

    public static string Describe(IReadOnlyList<TextLine> lines, DateTimeOffset startedAt)
    {
        var text = new StringBuilder(string.Create(CultureInfo.InvariantCulture, $"The conversation began on {startedAt.UtcDateTime:dddd, yyyy-MM-dd, HH:mm} UTC.\n"));
        foreach (var line in lines)
        {
            text.Append('\n').Append(line.Speaker is Speaker.Agent ? "Assistant: " : "Caller: ").Append(line.Text);
        }

        if (text.Length > ConversationMaxLength)
        {
            var cut = ConversationMaxLength / 2;
            text.Remove(cut, text.Length - ConversationMaxLength).Insert(cut, "\n[…]\n");
        }

        return text.ToString();
    }

    /// <summary>Reads what the model wrote: the function's arguments, or an answer that has the JSON somewhere in it.</summary>
    /// <returns>The findings without model and usage, or what is wrong with it, for the model to read.</returns>
    public (Findings? Found, string? Mistake) Read(string written)
    {
        var (from, to) = (written.IndexOf('{', StringComparison.Ordinal), written.LastIndexOf('}'));
        JsonDocument json;
        try
        {
            json = from >= 0 && to > from ? JsonDocument.Parse(written.AsMemory(from, to - from + 1), new JsonDocumentOptions { MaxDepth = 32 }) : throw new JsonException();
        }
        catch (JsonException)
        {
            return (null, "That is no JSON object. Answer with the arguments of record_analysis as one JSON object.");
        }

        using (json)
        {
            var form = json.RootElement;
            var summary = Text(form, "summary");
            if (settings.Summary && summary is null)
            {
                return (null, "'summary' is missing.");
            }

            var success = form.TryGetProperty("success", out var judged) ? Boolean(judged) : null;
            if (settings.Success is not null && success is null)
            {
                return (null, "'success' is missing: true or false.");
            }

            var fields = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
            foreach (var field in settings.Fields)
            {
                var value = form.TryGetProperty("fields", out var all) && all.ValueKind is JsonValueKind.Object && all.TryGetProperty(field.Name, out var given) ? given : default;
                var (read, mistake) = Value(field, value);
                if (mistake is not null)
                {
                    return (null, mistake);
                }

                fields[field.Name] = JsonSerializer.SerializeToElement(read, Json.Options);
            }

            return (new Findings(
                "", settings.Summary ? summary : null, settings.Success is null ? null : success, settings.Success is null ? null : Text(form, "success_reason"), fields, null, []), null);
        }
    }

    private static (object? Value, string? Mistake) Value(AnalysisField field, JsonElement given)
    {
        if (given.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null || (given.ValueKind is JsonValueKind.String && string.IsNullOrWhiteSpace(given.GetString())))
        {
            return (null, null);
        }

        switch (field.Type)
        {
            case AnalysisFieldType.Number:
                return Number(given) is { } number ? (number, null) : (null, $"'{field.Name}' must be a number.");
            case AnalysisFieldType.Boolean:
                return Boolean(given) is { } boolean ? (boolean, null) : (null, $"'{field.Name}' must be true or false.");
            default:
                var text = given.ValueKind is JsonValueKind.String ? given.GetString()!.Trim() : given.ValueKind is JsonValueKind.Number ? given.GetRawText() : null;
                if (text is null || field.Options.Count == 0)
                {
                    return text is null ? (null, $"'{field.Name}' must be a text.") : (Tools.Tools.Short(text, TextMaxBytes), null);
                }

                var option = field.Options.FirstOrDefault(o => string.Equals(o, text, StringComparison.OrdinalIgnoreCase));
                return option is null ? (null, $"'{field.Name}' must be one of {string.Join(", ", field.Options.Select(o => $"'{o}'"))}, or left out.") : (option, null);
        }
    }

    private static double? Number(JsonElement given)
    {
        var number = given.ValueKind switch
        {
            JsonValueKind.Number when given.TryGetDouble(out var n) => n,
            JsonValueKind.String when double.TryParse(given.GetString(), NumberStyles.Float, CultureInfo.InvariantCulture, out var n) => n,
            _ => double.NaN,
        };
        return double.IsFinite(number) ? number : null;
    }

    private static bool? Boolean(JsonElement given) => given.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.String when bool.TryParse(given.GetString(), out var b) => b,
        _ => null,
    };

    private static string? Text(JsonElement form, string name) =>
        form.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.String && !string.IsNullOrWhiteSpace(value.GetString())
            ? Tools.Tools.Short(value.GetString()!.Trim(), TextMaxBytes)
            : null;

    private static JsonObject Parameters(AnalysisSettings settings)
    {
        var (properties, required) = (new JsonObject(), new JsonArray());
        if (settings.Summary)
        {
            properties["summary"] = Of("string", "Two to four sentences: what the caller wanted, and what came of it.");
            required.Add("summary");
        }

        if (settings.Success is { } success)
        {
            properties["success"] = Of("boolean", $"Whether this holds: {success}");
            properties["success_reason"] = Of("string", "Why, in one sentence.");
            required.Add("success");
            required.Add("success_reason");
        }

        if (settings.Fields.Count > 0)
        {
            var fields = new JsonObject();
            foreach (var field in settings.Fields)
            {
                var of = Of(field.Type switch { AnalysisFieldType.Number => "number", AnalysisFieldType.Boolean => "boolean", _ => "string" }, field.Description);
                if (field.Options.Count > 0)
                {
                    of["enum"] = JsonSerializer.SerializeToNode(field.Options);
                }

                fields[field.Name] = of;
            }

            properties["fields"] = new JsonObject { ["type"] = "object", ["description"] = "What was said; leave out what was not.", ["properties"] = fields };
            required.Add("fields");
        }

        return new JsonObject { ["type"] = "object", ["properties"] = properties, ["required"] = required };

        static JsonObject Of(string type, string description) => new() { ["type"] = type, ["description"] = description };
    }
}
