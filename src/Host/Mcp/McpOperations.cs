using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace VoicePlatform.Host.Mcp;

/// <summary>One of the platform's MCP tools: a request to the API that a model can make.</summary>
/// <param name="Path">With {name} where an argument belongs.</param>
/// <param name="Query">The arguments that go into the query. What is neither there nor in the path is the body.</param>
/// <param name="BodyIs">The one argument that is the whole body; null: the rest of the arguments are its fields.</param>
internal sealed record McpOperation(
    string Name, string Description, HttpMethod Method, string Path, string SchemaJson, bool ReadOnly, IReadOnlyList<string> Query, string? BodyIs = null)
{
    /// <exception cref="FormatException">An argument that the path needs is missing.</exception>
    public HttpRequestMessage Request(IDictionary<string, JsonElement> arguments)
    {
        var rest = new Dictionary<string, JsonElement>(arguments);
        var path = string.Join('/', Path.Split('/').Select(part => part.StartsWith('{') ? Uri.EscapeDataString(Take(part[1..^1])) : part));
        var query = string.Join('&', Query.Where(rest.ContainsKey).Select(name => $"{name}={Uri.EscapeDataString(Take(name))}"));
        var request = new HttpRequestMessage(Method, query.Length > 0 ? $"{path}?{query}" : path);
        if (Method != HttpMethod.Get)
        {
            var body = BodyIs is null ? JsonSerializer.Serialize(rest) : rest.TryGetValue(BodyIs, out var whole) ? whole.GetRawText() : "{}";
            request.Content = new StringContent(body, Encoding.UTF8, new MediaTypeHeaderValue("application/json"));
        }

        return request;

        string Take(string name) => rest.Remove(name, out var value) ? value.ToString() : throw new FormatException($"'{name}' is needed.");
    }
}

/// <summary>What models can do here: assistants, calls, transcripts, balance.</summary>
internal static class McpOperations
{
    private static readonly string[] Paging = ["limit", "starting_after"];

    public static readonly IReadOnlyList<McpOperation> All =
    [
        Read("list_assistants", "Lists the tenant's assistants, newest first.", "/v1/assistants", Paging),
        Read("get_assistant", "Reads one assistant: prompt, greeting, models, tools.", "/v1/assistants/{assistant_id}", []),
        new("create_assistant", "Makes an assistant. Only its name is needed; prompt and greeting say how it behaves.", HttpMethod.Post, "/v1/assistants",
            Schema(["document"], ("document", "object", "The assistant document: name, prompt, greeting {text}, llm {model}, stt, tts, tools and so on.")), false, [], "document"),
        new("update_assistant", "Changes the given fields of an assistant and makes a new version.", HttpMethod.Patch, "/v1/assistants/{assistant_id}",
            Schema(["assistant_id", "changes"], ("assistant_id", "string", "The assistant's id."), ("changes", "object", "The fields to change (JSON merge patch).")), false, [], "changes"),
        new("place_call", "Calls a telephone number with an assistant. This rings a real telephone and costs credits.", HttpMethod.Post, "/v1/calls",
            Schema(
                ["assistant_id", "to_number"],
                ("assistant_id", "string", "Who talks."), ("trunk_id", "string", "The outbound trunk to call over."), ("to_number", "string", "E.164, as +15550100."),
                ("from_number", "string", "One of the trunk's numbers."), ("variables", "object", "Texts for {{name}} in prompt and greeting."), ("metadata", "object", "Kept with the call.")),
            false, []),
        Read("list_calls", "Lists calls, newest first.", "/v1/calls", [.. Paging, "status", "direction", "assistant_id"]),
        Read("get_call", "Reads one call: status, times, why it ended, cost.", "/v1/calls/{call_id}", []),
        new("end_call", "Ends a call that is queued, rings or runs.", HttpMethod.Post, "/v1/calls/{call_id}/end", Schema(["call_id"], ("call_id", "string", "The call's id.")), false, []),
        Read("get_call_transcript", "Reads what was said on a call.", "/v1/calls/{call_id}/transcript", []),
        Read("list_sessions", "Lists conversations of every kind, newest first.", "/v1/sessions", Paging),
        Read("get_call_analysis", "Reads what was found out about a call when it was over: summary, success, fields.", "/v1/calls/{call_id}/analysis", []),
        Read("get_session_transcript", "Reads what was said in a conversation.", "/v1/sessions/{session_id}/transcript", []),
        Read("get_balance", "Reads the tenant's credits: posted, held and available, in micro-credits. Needs a key with the scope finance.", "/v1/billing/balance", []),
        Read("list_transactions", "Lists ledger transactions, newest first. Needs a key with the scope finance.", "/v1/billing/transactions", Paging),
    ];

    private static McpOperation Read(string name, string description, string path, string[] query)
    {
        var ids = path.Split('/').Where(p => p.StartsWith('{')).Select(p => p[1..^1]).ToArray();
        return new(
            name, description, HttpMethod.Get, path,
            Schema(ids, [.. ids.Select(id => (id, "string", "The id.")), .. query.Select(q => (q, q == "limit" ? "integer" : "string", Meaning(q)))]), true, query);
    }

    private static string Meaning(string query) => query switch
    {
        "limit" => "1 to 100; 20 when left out.",
        "starting_after" => "next_cursor of the page before.",
        _ => $"Only those of this {query}.",
    };

    private static string Schema(string[] required, params (string Name, string Type, string Description)[] properties) => new JsonObject
    {
        ["type"] = "object",
        ["properties"] = new JsonObject(properties.Select(p => KeyValuePair.Create(p.Name, (JsonNode?)new JsonObject { ["type"] = p.Type, ["description"] = p.Description }))),
        ["required"] = new JsonArray([.. required.Select(r => JsonValue.Create(r))]),
        ["additionalProperties"] = false,
    }.ToJsonString();
}
