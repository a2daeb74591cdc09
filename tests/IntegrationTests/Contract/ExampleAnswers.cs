using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace VoicePlatform.IntegrationTests.Contract;

/// <summary>Makes a real answer an example: the ids of the document instead of a run's, one time for all, and no secret that ever was one.</summary>
internal static partial class ExampleAnswers
{
    public static JsonNode? Of(JsonNode answer, Resources resources)
    {
        var text = resources.Ids.Aggregate(answer.ToJsonString(), (json, id) => json.Replace(id.Value, id.Key, StringComparison.Ordinal));
        text = Secret().Replace(text, m => m.Groups["name"].Value switch
        {
            "key" or "api_key" => $"\"{m.Groups["name"].Value}\":\"lvk_live_3vQ9…\"",
            "hash" => $"\"hash\":\"{new string('7', 64)}\"",
            var name => $"\"{name}\":\"…\"",
        });
        var ids = new Dictionary<string, string>();
        text = Id().Replace(text, m => m.Value.Contains("01kaz7m4qe3v9x2w5r8t6y1h", StringComparison.Ordinal) ? m.Value
            : ids.TryGetValue(m.Value, out var known) ? known : ids[m.Value] = $"{m.Value[..3]}01kaz7m4qe3v9x2w5r8t6y1h{ids.Count + 10:00}");
        text = Time().Replace(text, m => m.Value is "\"2029-12-31T00:00:00.000Z\"" ? m.Value : "\"2026-11-26T09:30:00.000Z\"");
        text = Room().Replace(text, "agent_$1_$2_1795685400000");
        text = Port().Replace(text, "//127.0.0.1:7880");
        return Shortened(JsonNode.Parse(text));
    }

    /// <summary>Two rows show what a list is.</summary>
    private static JsonNode? Shortened(JsonNode? node)
    {
        switch (node)
        {
            case JsonObject found:
                found.ToList().ForEach(p => Shortened(p.Value));
                return found;
            case JsonArray list:
                while (list.Count > 2 && list[0] is JsonObject)
                {
                    list.RemoveAt(list.Count - 1);
                }

                list.ToList().ForEach(i => Shortened(i));
                return list;
            default:
                return node;
        }
    }

    [GeneratedRegex("\"(?<name>key|api_key|secret|token|participant_token|hash)\":\"[^\"]*\"", RegexOptions.ExplicitCapture)]
    private static partial Regex Secret();

    [GeneratedRegex("\\b(ten|usr|key|ast|tol|trk|num|cal|ses|whk|evt|dlv|txn|ent|hld|aud)[0-9a-hjkmnp-tv-z]{26}\\b", RegexOptions.ExplicitCapture)]
    private static partial Regex Id();

    [GeneratedRegex("\"20\\d\\d-\\d\\d-\\d\\dT[0-9:.]+Z\"")]
    private static partial Regex Time();

    [GeneratedRegex("agent_([a-z0-9]+)_([a-zA-Z0-9-]+)_\\d+")]
    private static partial Regex Room();

    [GeneratedRegex("//127\\.0\\.0\\.1:\\d{4,5}")]
    private static partial Regex Port();
}
