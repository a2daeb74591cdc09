using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;

namespace VoicePlatform.Host.OpenApi;

/// <summary>Makes the generated schemas say what holds: what is always there, what a request may leave out, what a patch may name.</summary>
internal sealed class Schemas(JsonObject document, SchemaNames names)
{
    private const string Prefix = "#/components/schemas/";

    private readonly JsonObject _schemas = document["components"]!["schemas"]!.AsObject();

    public void Polish()
    {
        foreach (var (name, schema) in _schemas.ToList())
        {
            if (schema is JsonObject found && names.TypeOf(name) is { } type)
            {
                Describe(found, type);
            }
        }
    }

    /// <summary>
    /// Requests and answers that share a type differ: a request may leave out what has a default, an answer has every field. Requests keep
    /// the schema; where an answer uses it too, the request's gets the suffix "Input".
    /// </summary>
    public void Separate(IReadOnlyList<JsonObject> requests, IReadOnlyList<JsonObject> answers)
    {
        var answered = new HashSet<string>();
        answers.ToList().ForEach(a => Collect(a, answered));
        var reached = new HashSet<string>();
        requests.ToList().ForEach(r => Collect(r, reached));
        foreach (var asked in requests.Concat(reached.Except(answered).Select(n => _schemas[n]).OfType<JsonObject>()).ToList())
        {
            Point(asked, name => answered.Contains(name) && names.IsObject(name) ? Variant(name, "Input", answered, _ => { }) : name);
        }

        foreach (var name in answered.Where(n => names.IsObject(n)))
        {
            if (_schemas[name] is JsonObject schema && schema["properties"] is JsonObject properties)
            {
                schema["required"] = new JsonArray([.. properties.Select(p => (JsonNode)p.Key)]);
                schema.Remove("additionalProperties");
            }
        }
    }

    /// <summary>RFC 7396: every field may be left out or be null, objects inside too.</summary>
    public void MakePatch(JsonObject request)
    {
        var all = new HashSet<string>();
        Collect(request, all);
        Point(request, name => names.IsObject(name) ? Variant(name, "Patch", all, Loosen) : name);
    }

    private static void Loosen(JsonObject schema)
    {
        schema.Remove("required");
        foreach (var (name, property) in schema["properties"]?.AsObject().ToList() ?? [])
        {
            schema["properties"]![name] = Nullable(property!.AsObject());
        }
    }

    private static JsonObject Nullable(JsonObject schema)
    {
        var loose = schema.DeepClone().AsObject();
        loose.Remove("default");
        switch (loose["type"])
        {
            case JsonValue type when type.GetValue<string>() != "null":
                loose["type"] = new JsonArray(type.GetValue<string>(), "null");
                if (loose["enum"] is JsonArray words)
                {
                    words.Add(null);
                }

                return loose;
            case null when loose["$ref"] is { } reference:
                loose.Remove("$ref");
                loose["oneOf"] = new JsonArray(new JsonObject { ["type"] = "null" }, new JsonObject { ["$ref"] = reference.DeepClone() });
                return loose;
            default:
                return loose;
        }
    }

    private string Variant(string name, string suffix, HashSet<string> among, Action<JsonObject> change)
    {
        var variant = (suffix == "Patch" && name.EndsWith("Request", StringComparison.Ordinal) ? name[..^"Request".Length] : name) + suffix;
        if (!_schemas.ContainsKey(variant))
        {
            var copy = _schemas[name]!.DeepClone().AsObject();
            _schemas[variant] = copy;
            Point(copy, inner => among.Contains(inner) && names.IsObject(inner) ? Variant(inner, suffix, among, change) : inner);
            change(copy);
        }

        return variant;
    }

    private static void Describe(JsonObject schema, JsonTypeInfo json)
    {
        var type = json.Type;
        if (Comments.Of(type) is { } summary)
        {
            schema["description"] = summary;
        }

        if (type.IsEnum)
        {
            schema["type"] = "string";
            schema["enum"] = new JsonArray([.. Enum.GetNames(type).Select(w => (JsonNode)JsonNamingPolicy.SnakeCaseLower.ConvertName(w))]);
            schema.Remove("default");
            var words = from word in Enum.GetNames(type)
                        let says = Comments.OfWord(type, word)
                        where says is not null
                        select $"{JsonNamingPolicy.SnakeCaseLower.ConvertName(word)}: {says}";
            if (words.ToList() is { Count: > 0 } told)
            {
                schema["description"] = string.Join(' ', new[] { Comments.Of(type) }.Concat(told).Where(t => t is not null));
            }

            return;
        }

        if (schema["properties"] is not JsonObject properties)
        {
            return;
        }

        var required = new JsonArray();
        foreach (var property in json.Properties)
        {
            if (properties[property.Name] is not JsonObject shape || property.AttributeProvider is not PropertyInfo member)
            {
                continue;
            }

            Type(shape, property.PropertyType);
            if (Comments.Of(member) is { } says)
            {
                shape["description"] = says;
            }

            // A request's record says by its defaults what may be left out; that a parameter is nullable only lets its validator speak.
            var isNeeded = property.IsRequired || property.AssociatedParameter is { HasDefaultValue: false };
            if (isNeeded)
            {
                required.Add(property.Name);
            }
        }

        schema.Remove("required");
        if (required.Count > 0)
        {
            schema["required"] = required;
        }
    }

    /// <summary>What the generator does not know: times have a converter of ours, and JSON that is passed on is an object.</summary>
    private static void Type(JsonObject shape, Type type)
    {
        var word = (System.Nullable.GetUnderlyingType(type) ?? type) switch
        {
            { } t when t == typeof(DateTimeOffset) => "string",
            { } t when t == typeof(JsonElement) => "object",
            _ => null,
        };
        if (word is null)
        {
            return;
        }

        shape.Remove("oneOf");
        shape["type"] = System.Nullable.GetUnderlyingType(type) is null ? word : new JsonArray(word, "null");
        if (word == "string")
        {
            shape["format"] = "date-time";
        }
    }

    /// <summary>In requests a needed field is never null.</summary>
    public void RefuseNull(JsonObject request)
    {
        var reached = new HashSet<string>();
        Collect(request, reached);
        foreach (var schema in reached.Select(n => _schemas[n]).OfType<JsonObject>())
        {
            foreach (var name in schema["required"]?.AsArray().Select(n => n!.GetValue<string>()) ?? [])
            {
                if (schema["properties"]?[name] is JsonObject { } property && property["type"] is JsonArray types && types.Count == 2)
                {
                    property["type"] = types.Select(t => t!.GetValue<string>()).First(t => t != "null");
                }
            }
        }
    }

    /// <summary>Every component that can be reached from here.</summary>
    private void Collect(JsonNode? node, HashSet<string> into) => Visit(node, reference =>
    {
        if (into.Add(reference))
        {
            Collect(_schemas[reference], into);
        }

        return reference;
    });

    private static void Point(JsonNode node, Func<string, string> to) => Visit(node, to);

    private static void Visit(JsonNode? node, Func<string, string> see)
    {
        switch (node)
        {
            case JsonObject found:
                if (found["$ref"]?.GetValue<string>() is { } reference && reference.StartsWith(Prefix, StringComparison.Ordinal))
                {
                    var name = reference[Prefix.Length..];
                    if (see(name) is var other && other != name)
                    {
                        found["$ref"] = Prefix + other;
                    }
                }

                found.Where(p => p.Key != "$ref").ToList().ForEach(p => Visit(p.Value, see));
                break;
            case JsonArray items:
                items.ToList().ForEach(i => Visit(i, see));
                break;
        }
    }

    /// <summary>An object of which no field is known may have any: generators of clients would take it for one that may have none.</summary>
    private static void Open(JsonNode? node)
    {
        switch (node)
        {
            case JsonObject found:
                var isObject = found["type"] is JsonValue one ? one.GetValueKind() is JsonValueKind.String && one.GetValue<string>() == "object" : found["type"] is JsonArray several && several.Any(t => t!.GetValue<string>() == "object");
                if (isObject && !found.ContainsKey("properties") && !found.ContainsKey("additionalProperties"))
                {
                    found["additionalProperties"] = true;
                }

                found.Where(p => p.Key is not ("example" or "default" or "enum")).ToList().ForEach(p => Open(p.Value));
                break;
            case JsonArray items:
                items.ToList().ForEach(Open);
                break;
        }
    }

    /// <summary>What nothing refers to any more goes.</summary>
    public void Sweep()
    {
        Open(_schemas);
        var reached = new HashSet<string>();
        Collect(document["paths"], reached);
        foreach (var name in _schemas.Select(s => s.Key).Where(n => !reached.Contains(n)).ToList())
        {
            _schemas.Remove(name);
        }

        var sorted = _schemas.OrderBy(s => s.Key, StringComparer.Ordinal).Select(s => KeyValuePair.Create(s.Key, s.Value?.DeepClone())).ToList();
        document["components"]!["schemas"] = new JsonObject(sorted);
    }
}
