using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace VoicePlatform.IntegrationTests.Contract;

/// <summary>What a careless or hostile sender writes in place of what is asked for.</summary>
internal static class Hostile
{
    private static readonly string Huge = new('x', 200_000);

    /// <summary>JSON texts of values, some of which no serializer would write.</summary>
    private static readonly (string Label, string Json)[] Values =
    [
        ("null", "null"), ("true", "true"), ("zero", "0"), ("negative", "-1"), ("fraction", "1.5"), ("beyond int", "2147483648"), ("beyond long", "9223372036854775808"),
        ("beyond double", "1e400"), ("beyond numeric", "1e200000"), ("NaN as text", "\"NaN\""), ("empty text", "\"\""), ("spaces", "\"   \""), ("huge text", $"\"{Huge}\""),
        ("U+0000", "\"a\\u0000b\""), ("half a surrogate pair", "\"\\ud83d\""), ("other half", "\"\\udc00\\ud83d\""), ("bidi and emoji", "\"\u202e\u200b👩‍👩‍👧 ﷽ ẞ\""),
        ("quotes", "\"'; DROP TABLE tenant.keys; --\""), ("template", "\"{{secrets.KEY}} ${jndi:ldap://x} %s%n\""), ("path", "\"../../../../etc/passwd\""),
        ("array", "[]"), ("array of nulls", "[null,null]"), ("array of arrays", "[[[]]]"), ("object", "{}"), ("object with null", "{\"a\":null,\"\":1}"),
        ("nested", string.Concat(Enumerable.Repeat("[", 1_000)) + string.Concat(Enumerable.Repeat("]", 1_000))), ("old", "\"0001-01-01T00:00:00Z\""), ("far", "\"9999-12-31T23:59:59.999Z\""),
        ("private address", "\"http://169.254.169.254/latest/meta-data\""), ("script", "\"javascript:alert(1)\""),
    ];

    /// <summary>Whole bodies that are wrong.</summary>
    public static IEnumerable<(string Label, byte[]? Body, string Type)> Bodies(JsonNode? valid)
    {
        const string Json = "application/json";
        var text = valid?.ToJsonString() ?? "{}";
        yield return ("no body", null, Json);
        yield return ("empty", [], Json);
        foreach (var body in new[] { "null", "[]", "\"text\"", "123", "{", "}", "nul", "{\"a\":1,}", "{'a':1}", "{\"a\":NaN}", text + text, text + "x", text[..(text.Length / 2)] })
        {
            yield return ($"body {(body.Length > 20 ? body[..20] : body)}", Encoding.UTF8.GetBytes(body), Json);
        }

        yield return ("unknown field", Encoding.UTF8.GetBytes(Merged(text, "\"no_such_field\":1")), Json);
        yield return ("field in capitals", Encoding.UTF8.GetBytes(text.ToUpperInvariant()), Json);
        yield return ("invalid UTF-8", [.. "{\"name\":\""u8, 0xff, 0xfe, 0xc0, 0x80, .. "\"}"u8], Json);
        yield return ("invalid UTF-8 in a name", [.. "{\"na"u8, 0xc3, 0x28, .. "\":1}"u8], Json);
        yield return ("UTF-16", Encoding.Unicode.GetBytes(text), $"{Json}; charset=utf-16");
        yield return ("byte order mark", [.. Encoding.UTF8.Preamble, .. Encoding.UTF8.GetBytes(text)], Json);
        yield return ("text", Encoding.UTF8.GetBytes(text), "text/plain");
        yield return ("form", "name=x"u8.ToArray(), "application/x-www-form-urlencoded");
        yield return ("no such charset", Encoding.UTF8.GetBytes(text), $"{Json}; charset=klingon");
        yield return ("a thousand objects deep", Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("{\"a\":", 1_000)) + "1" + new string('}', 1_000)), Json);
        yield return ("ten thousand fields", Encoding.UTF8.GetBytes("{" + string.Join(',', Enumerable.Range(0, 10_000).Select(i => $"\"f{i}\":{i}")) + "}"), Json);
    }

    /// <summary>The valid body with each of its fields missing, null, of another type, too large, nasty.</summary>
    /// <param name="pairs">So many bodies more with two things wrong; the seed decides which.</param>
    public static IEnumerable<(string Label, string Body)> Mutations(JsonNode valid, Random random, int pairs)
    {
        var paths = Paths(valid, []).ToList();
        foreach (var path in paths)
        {
            yield return ($"without {Name(path)}", Changed(valid, path, null));
            foreach (var (label, json) in Values)
            {
                yield return ($"{Name(path)} is {label}", Changed(valid, path, json));
            }

            yield return ($"{Name(path)} with a field more", Changed(valid, path, "{\"no_such_field\":true}"));
        }

        // Only what can be parsed again can be changed twice.
        var parsed = Values.Where(v => v.Label is not ("nested" or "half a surrogate pair" or "other half" or "beyond double" or "beyond numeric")).ToArray();
        for (var i = 0; i < pairs && paths.Count > 1; i++)
        {
            var (one, other) = (random.GetItems(paths.ToArray(), 1)[0], random.GetItems(parsed, 2));
            var half = JsonNode.Parse(Changed(valid, one, other[0].Json))!;
            var next = random.GetItems(Paths(half, []).ToArray(), 1)[0];
            yield return ($"{Name(one)} is {other[0].Label} and {Name(next)} is {other[1].Label}", Changed(half, next, other[1].Json));
        }
    }

    public static IEnumerable<string> Ids(string real)
    {
        yield return "x";
        yield return real.ToUpperInvariant();
        yield return $"{real}0";
        yield return $"zzz{real[Math.Min(3, real.Length)..]}";
        yield return "%00";
        yield return $"{real}%00";
        yield return "%ff%fe";
        yield return "%20";
        yield return "..%2f..";
        yield return "%F0%9F%92%A9";
        yield return "'%20OR%201=1--";
        yield return "-1";
        yield return "99999999999999999999";
        yield return new string('a', 4_000);
    }

    public static IEnumerable<string> QueryValues() =>
        ["", "abc", "-1", "0", "101", "99999999999999999999", "1.5", "%00", "%ff", "NaN", "true", new string('a', 4_000), "2026-13-45", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "-infinity", "'%20OR%201=1--", "%F0%9F%92%A9", "1&{0}=2"];

    /// <summary>Marks the place of a value that is written as it stands, because a JsonNode could not hold it.</summary>
    private static string Changed(JsonNode valid, IReadOnlyList<string> path, string? json)
    {
        const string Mark = "@@mark@@";
        var copy = valid.DeepClone();
        var parent = path.SkipLast(1).Aggregate(copy, (node, step) => node is JsonArray list ? list[int.Parse(step, null)]! : node[step]!);
        switch (parent)
        {
            case JsonObject found when json is null:
                found.Remove(path[^1]);
                break;
            case JsonObject found:
                found[path[^1]] = Mark;
                break;
            case JsonArray list when json is null:
                list.RemoveAt(int.Parse(path[^1], null));
                break;
            case JsonArray list:
                list[int.Parse(path[^1], null)] = Mark;
                break;
        }

        return copy.ToJsonString(Relaxed).Replace($"\"{Mark}\"", json, StringComparison.Ordinal);
    }

    private static readonly JsonSerializerOptions Relaxed = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static IEnumerable<IReadOnlyList<string>> Paths(JsonNode? node, IReadOnlyList<string> at)
    {
        var inside = node switch
        {
            JsonObject found => found.Select(p => (Step: p.Key, p.Value)),
            JsonArray { Count: > 0 } list => [(Step: "0", Value: list[0])],
            _ => [],
        };
        foreach (var (step, value) in inside)
        {
            var path = at.Append(step).ToList();
            yield return path;
            foreach (var deeper in Paths(value, path))
            {
                yield return deeper;
            }
        }
    }

    private static string Name(IReadOnlyList<string> path) => string.Join('.', path);

    private static string Merged(string json, string more) => json == "{}" ? $"{{{more}}}" : $"{json[..^1]},{more}}}";
}
