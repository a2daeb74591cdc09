using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace VoicePlatform.IntegrationTests.Contract;

/// <summary>
/// Says where JSON does not follow a schema of the document: the part of JSON Schema 2020-12 that the documents use. A keyword it does not know
/// is an error, so that nothing passes unseen.
/// </summary>
internal sealed class SchemaJudge(JsonObject document)
{
    private static readonly HashSet<string> Notes = ["description", "example", "default", "format", "title", "deprecated", "readOnly", "writeOnly"];

    public IReadOnlyList<string> Faults(JsonNode? value, JsonObject schema)
    {
        var faults = new List<string>();
        Check(value, schema, "$", faults);
        return faults;
    }

    public JsonObject Resolve(JsonObject schema)
    {
        while (schema["$ref"]?.GetValue<string>() is { } reference)
        {
            schema = reference.TrimStart('#', '/').Split('/').Aggregate((JsonNode)document, (node, step) => node[step] ?? throw new InvalidOperationException($"{reference} leads nowhere.")).AsObject();
        }

        return schema;
    }

    private void Check(JsonNode? value, JsonObject schema, string at, List<string> faults)
    {
        foreach (var (keyword, rule) in schema)
        {
            switch (keyword)
            {
                case "$ref":
                    Check(value, Resolve(schema), at, faults);
                    break;
                case "type":
                    var types = rule is JsonArray several ? several.Select(t => t!.GetValue<string>()).ToList() : [rule!.GetValue<string>()];
                    Assert(types.Any(t => Is(value, t)), $"is not of type {string.Join(" or ", types)}");
                    break;
                case "enum":
                    Assert(rule!.AsArray().Any(e => JsonNode.DeepEquals(e, value)), $"is none of {rule.ToJsonString()}");
                    break;
                case "oneOf" or "anyOf":
                    Assert(rule!.AsArray().Any(o => Faults(value, o!.AsObject()).Count == 0), $"fits none of {rule.AsArray().Count} choices");
                    break;
                case "allOf":
                    rule!.AsArray().ToList().ForEach(o => Check(value, o!.AsObject(), at, faults));
                    break;
                case "required" when value is JsonObject required:
                    foreach (var name in rule!.AsArray().Select(n => n!.GetValue<string>()))
                    {
                        Assert(required.ContainsKey(name), $"lacks '{name}'");
                    }

                    break;
                case "properties" when value is JsonObject found:
                    foreach (var (name, inner) in found.Where(p => rule![p.Key] is not null))
                    {
                        Check(inner, rule![name]!.AsObject(), $"{at}.{name}", faults);
                    }

                    break;
                case "additionalProperties" when value is JsonObject open:
                    foreach (var (name, inner) in open.Where(p => schema["properties"]?[p.Key] is null))
                    {
                        Assert(rule is not JsonValue closed || closed.GetValue<bool>(), $"has '{name}', which is not in the schema");
                        if (rule is JsonObject shape)
                        {
                            Check(inner, shape, $"{at}.{name}", faults);
                        }
                    }

                    break;
                case "items" when value is JsonArray list:
                    for (var i = 0; i < list.Count; i++)
                    {
                        Check(list[i], rule!.AsObject(), $"{at}[{i}]", faults);
                    }

                    break;
                case "minimum" when Number(value) is { } low:
                    Assert(low >= rule!.GetValue<double>(), $"is below {rule}");
                    break;
                case "maximum" when Number(value) is { } high:
                    Assert(high <= rule!.GetValue<double>(), $"is above {rule}");
                    break;
                case "minLength" when Text(value) is { } text:
                    Assert(text.Length >= rule!.GetValue<int>(), $"is shorter than {rule}");
                    break;
                case "maxLength" when Text(value) is { } text:
                    Assert(text.Length <= rule!.GetValue<int>(), $"is longer than {rule}");
                    break;
                case "pattern" when Text(value) is { } text:
                    Assert(Regex.IsMatch(text, rule!.GetValue<string>()), $"does not match {rule}");
                    break;
                case "required" or "properties" or "additionalProperties" or "items" or "minimum" or "maximum" or "minLength" or "maxLength" or "pattern":
                    break;
                default:
                    Assert(Notes.Contains(keyword) || keyword.StartsWith("x-", StringComparison.Ordinal), $"has the schema keyword '{keyword}', which nobody checks");
                    break;
            }
        }

        // Answers list every field of theirs; a field that the schema does not know is a fault there too.
        if (value is JsonObject answer && schema["properties"] is JsonObject known && schema["additionalProperties"] is null)
        {
            foreach (var name in answer.Select(p => p.Key).Where(n => !known.ContainsKey(n)))
            {
                faults.Add($"{at} has '{name}', which is not in the schema");
            }
        }

        if (schema["format"]?.GetValue<string>() == "date-time" && Text(value) is { } time)
        {
            Assert(DateTimeOffset.TryParse(time, CultureInfo.InvariantCulture, DateTimeStyles.None, out _), "is no time");
        }

        void Assert(bool holds, string fault)
        {
            if (!holds)
            {
                faults.Add($"{at} {fault}: {(value?.ToJsonString() is { Length: > 200 } long_ ? long_[..200] : value?.ToJsonString() ?? "null")}");
            }
        }
    }

    private static bool Is(JsonNode? value, string type) => (type, value?.GetValueKind() ?? JsonValueKind.Null) switch
    {
        ("null", JsonValueKind.Null) or ("string", JsonValueKind.String) or ("object", JsonValueKind.Object) or ("array", JsonValueKind.Array)
            or ("boolean", JsonValueKind.True or JsonValueKind.False) or ("number", JsonValueKind.Number) => true,
        ("integer", JsonValueKind.Number) => Number(value) is { } n && n == Math.Floor(n),
        _ => false,
    };

    private static double? Number(JsonNode? value) =>
        value?.GetValueKind() is JsonValueKind.Number ? double.Parse(value.ToJsonString(), CultureInfo.InvariantCulture) : null;

    private static string? Text(JsonNode? value) => value?.GetValueKind() is JsonValueKind.String ? value.GetValue<string>() : null;
}
