using System.Text.Json;
using System.Text.Json.Nodes;

namespace VoicePlatform.ClientGenerator;

/// <summary>What a schema is called in C#.</summary>
internal static class Types
{
    private const string Prefix = "#/components/schemas/";

    private static readonly HashSet<string> Keywords =
        ["from", "to", "event", "object", "string", "params", "ref", "out", "in", "is", "as", "base", "new", "default", "operator", "class", "namespace", "public", "private", "internal", "lock", "for", "if", "do"];

    public static string Pascal(string name) => string.Concat(name.Split('_', '-', '.').Where(w => w.Length > 0).Select(w => char.ToUpperInvariant(w[0]) + w[1..]));

    /// <summary>A parameter's name; the words of the language get an @.</summary>
    public static string Camel(string name) => JsonNamingPolicy.CamelCase.ConvertName(Pascal(name)) is var camel && Keywords.Contains(camel) ? $"@{camel}" : camel;

    public static string? Reference(JsonObject schema) => schema["$ref"]?.GetValue<string>()[Prefix.Length..];

    public static bool IsNullable(JsonObject schema) =>
        (schema["type"] is JsonArray types && types.Any(t => t!.GetValue<string>() == "null"))
        || (schema["oneOf"] is JsonArray choices && choices.Any(c => c!["type"] is JsonValue type && type.GetValue<string>() == "null"));

    /// <summary>The type without its question mark.</summary>
    public static string Of(JsonObject schema)
    {
        if (Reference(schema) is { } name)
        {
            return name;
        }

        if (schema["oneOf"] is JsonArray choices)
        {
            return Of(choices.Select(c => c!.AsObject()).First(c => c["type"] is not JsonValue type || type.GetValue<string>() != "null"));
        }

        var type = schema["type"] switch
        {
            JsonArray types => types.Select(t => t!.GetValue<string>()).First(t => t != "null"),
            JsonValue one => one.GetValue<string>(),
            _ => "",
        };
        return (type, schema["format"]?.GetValue<string>()) switch
        {
            ("string", "date-time") => "DateTimeOffset",
            ("string", _) => "string",
            ("boolean", _) => "bool",
            ("integer", "int64") => "long",
            ("integer", _) => "int",
            ("number", _) => "double",
            ("array", _) => $"IReadOnlyList<{Of(schema["items"]!.AsObject())}>",
            ("object", _) when schema["additionalProperties"] is JsonObject value => $"IReadOnlyDictionary<string, {Of(value)}>",
            ("object", _) => "JsonObject",
            _ => "JsonNode",
        };
    }
}
