using System.Reflection;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Authorization;

namespace VoicePlatform.Host.OpenApi;

/// <summary>Says of every operation what its slice says, and what follows from the conventions: keys, idempotency, entity tags, refusals.</summary>
internal sealed partial class Operations(JsonObject document, IReadOnlyDictionary<string, RouteEndpoint> endpoints)
{
    private const string Problem = "#/components/schemas/Problem";

    /// <summary>Parameters that mean the same everywhere.</summary>
    private static readonly Dictionary<string, (string Says, int? Min, int? Max, int? Default)> Parameters = new()
    {
        ["limit"] = ("How many rows at most.", 1, PageQuery.MaxLimit, PageQuery.DefaultLimit),
        ["starting_after"] = ("The next_cursor of the page before; without it the list begins with the newest.", null, null, null),
        ["after"] = ("The next_cursor of the answer before; without it the log begins with the oldest event that is kept.", 0, null, null),
        ["from"] = ("Not before this instant (ISO 8601).", null, null, null),
        ["to"] = ("Before this instant (ISO 8601).", null, null, null),
        ["at"] = ("As it was at this instant (ISO 8601).", null, null, null),
        ["assistant_id"] = ("Only of this assistant.", null, null, null),
        ["trunk_id"] = ("Only of this trunk.", null, null, null),
        ["status"] = ("Only with this status.", null, null, null),
        ["direction"] = ("Only in this direction.", null, null, null),
        ["transaction_id"] = ("Only of this transaction.", null, null, null),
        ["account"] = ("Only of this account.", null, null, null),
        ["kind"] = ("Only of this kind.", null, null, null),
        ["subject_id"] = ("Only about this session, call or payment.", null, null, null),
        ["type"] = ("Only of this type.", null, null, null),
        ["action"] = ("Only of this action.", null, null, null),
        ["user_id"] = ("Only by this user.", null, null, null),
        ["format"] = ("json (what is told when nothing is said), csv, or html to print.", null, null, null),
        ["accounts"] = ("own: what the tenant has, available and held (what is told when nothing is said); all: the platform's side too.", null, null, null),
        ["by_turn"] = ("A row for each turn; otherwise one over all.", null, null, null),
        ["group_by"] = ("What a row stands for.", null, null, null),
    };

    public void Polish()
    {
        foreach (var (path, item) in document["paths"]!.AsObject())
        {
            foreach (var (method, node) in item!.AsObject().Where(m => m.Value is JsonObject { } o && o.ContainsKey("responses")))
            {
                var operation = node!.AsObject();
                if (operation["operationId"]?.GetValue<string>() is { } name && endpoints.TryGetValue(name, out var endpoint))
                {
                    Polish(path, method, operation, name, endpoint);
                }
            }
        }
    }

    private static void Polish(string path, string method, JsonObject operation, string name, RouteEndpoint endpoint)
    {
        var slice = SliceOf(endpoint);
        var id = char.ToLowerInvariant(name[0]) + name[1..];
        var says = slice is null ? null : Comments.Of(slice);
        operation["operationId"] = id;
        operation["summary"] = Summary(says) ?? Words().Replace(name, " $1").Trim();
        var policy = endpoint.Metadata.OfType<IAllowAnonymous>().Any() ? null : endpoint.Metadata.OfType<IAuthorizeData>().Select(a => a.Policy).LastOrDefault(p => p is not null);
        var isSeed = IsSeed(operation);
        operation["description"] = string.Join("\n\n", new[] { says, policy is null ? "No key is needed." : $"Scope: `{policy}`." }.Where(t => t is not null));
        operation["security"] = policy is null ? new JsonArray() : new JsonArray(new JsonObject { ["key"] = new JsonArray() }, new JsonObject { ["bearer"] = new JsonArray() });

        if (policy is not null)
        {
            operation["x-scope"] = policy;
        }

        var hasBody = operation.ContainsKey("requestBody");
        var parameters = operation["parameters"] as JsonArray ?? [];
        DescribeParameters(parameters, endpoint);
        var hasIfMatch = method is "patch" or "delete" or "put" && TakesHttpContext(endpoint);
        if (method == "post" && policy is not null)
        {
            parameters.Add(Header("Idempotency-Key", "Does the request once: repeated with this key within 24 hours, it is answered as it was the first time.", 255));
        }

        if (hasIfMatch)
        {
            parameters.Add(Header("If-Match", "The ETag that was read: the change is refused with 412 when there is a newer one.", 200));
        }

        if (parameters.Count > 0)
        {
            operation["parameters"] = parameters;
        }

        var conventions = new HashSet<string> { "all", id };
        operation["tags"]?.AsArray().ToList().ForEach(t => conventions.Add(t!.GetValue<string>()));
        AddIf(policy is not null, "key");
        AddIf(hasBody, "body");
        AddIf(hasBody || parameters.Any(p => p!["in"]!.GetValue<string>() == "query"), "query");
        AddIf(path.Contains('{', StringComparison.Ordinal), "path");
        AddIf(method == "post" && policy is not null, "post");
        AddIf(hasIfMatch, "if-match");
        Refusals(operation["responses"]!.AsObject(), conventions, isSeed);
        Headers(operation["responses"]!.AsObject(), method, path, endpoint, hasIfMatch, policy is not null and not Scopes.Platform);

        void AddIf(bool holds, string convention)
        {
            if (holds)
            {
                conventions.Add(convention);
            }
        }
    }

    public static bool IsSeed(JsonObject operation) => operation["tags"]?.AsArray().Any(t => t!.GetValue<string>().StartsWith("Seed", StringComparison.Ordinal)) is true;

    /// <summary>The static class that maps the route: lambdas live in a nested class of the compiler's.</summary>
    private static Type? SliceOf(RouteEndpoint endpoint)
    {
        var type = endpoint.Metadata.GetMetadata<MethodInfo>()?.DeclaringType;
        while (type?.Name.StartsWith('<') is true)
        {
            type = type.DeclaringType;
        }

        return type;
    }

    private static bool TakesHttpContext(RouteEndpoint endpoint) =>
        endpoint.Metadata.GetMetadata<MethodInfo>()?.GetParameters().Any(p => p.ParameterType == typeof(HttpContext)) is true;

    private static string? Summary(string? says) => says is null ? null : FirstSentence().Match(says).Groups[1].Value.TrimEnd('.', ':', ';');

    private static void DescribeParameters(JsonArray parameters, RouteEndpoint endpoint)
    {
        var words = endpoint.Metadata.GetMetadata<MethodInfo>()?.GetParameters().Where(p => p.IsDefined(typeof(WordsAttribute))).ToDictionary(p => p.Name!, p => p.GetCustomAttribute<WordsAttribute>()!.Words) ?? [];
        foreach (var parameter in parameters.OfType<JsonObject>())
        {
            var name = parameter["name"]!.GetValue<string>();
            var schema = parameter["schema"]!.AsObject();
            if (words.TryGetValue(name, out var few))
            {
                parameter["schema"]!["enum"] = new JsonArray([.. few.Select(w => (JsonNode)w)]);
            }

            if (parameter["in"]!.GetValue<string>() == "path")
            {
                parameter["description"] ??= name == "id" ? "The resource's id." : $"The {name.Replace('_', ' ')}.";
            }
            else if (Parameters.TryGetValue(name, out var known))
            {
                parameter["description"] ??= known.Says;
                if (schema["type"] is not null && (known.Min ?? known.Max) is not null)
                {
                    Set("minimum", known.Min);
                    Set("maximum", known.Max);
                    Set("default", known.Default);
                }
            }

            void Set(string key, int? value)
            {
                if (value is not null)
                {
                    schema[key] = value;
                }
            }
        }
    }

    private static JsonObject Header(string name, string says, int maxLength) => new()
    {
        ["name"] = name,
        ["in"] = "header",
        ["description"] = says,
        ["schema"] = new JsonObject { ["type"] = "string", ["minLength"] = 1, ["maxLength"] = maxLength },
    };

    private static void Refusals(JsonObject responses, HashSet<string> conventions, bool isSeed)
    {
        // The seeds know no 422, and most of their refusals have the envelope of their answers.
        var errors = ErrorCatalogue.Errors.Where(e => e.Where.Any(conventions.Contains)).GroupBy(e => isSeed && e.Status == 422 ? 400 : e.Status).OrderBy(g => g.Key);
        foreach (var status in errors)
        {
            var content = new JsonObject { ["application/problem+json"] = new JsonObject { ["schema"] = new JsonObject { ["$ref"] = Problem } } };
            if (isSeed)
            {
                content["application/json"] = new JsonObject { ["schema"] = new JsonObject { ["type"] = "object" } };
            }

            responses[status.Key.ToString(null, null)] = new JsonObject
            {
                ["description"] = string.Join("\n", status.Select(e => $"- `{e.Code}`: {e.Meaning}")),
                ["content"] = content,
                ["x-codes"] = new JsonArray([.. status.Select(e => (JsonNode)e.Code)]),
            };
        }
    }

    private static void Headers(JsonObject responses, string method, string path, RouteEndpoint endpoint, bool hasIfMatch, bool isLimited)
    {
        foreach (var (status, response) in responses)
        {
            var headers = new JsonObject { ["x-request-id"] = Ref("RequestId") };
            if (isLimited)
            {
                headers["RateLimit-Limit"] = Ref("RateLimitLimit");
                headers["RateLimit-Remaining"] = Ref("RateLimitRemaining");
                headers["RateLimit-Reset"] = Ref("RateLimitReset");
            }

            if (status[0] == '2')
            {
                if (method == "post")
                {
                    headers["Idempotency-Replayed"] = Ref("IdempotencyReplayed");
                }

                if ((method == "get" && path.EndsWith('}') && TakesHttpContext(endpoint)) || (method is "patch" or "put" && hasIfMatch))
                {
                    headers["ETag"] = Ref("ETag");
                }

                if (response!["description"]?.GetValue<string>() is "OK" or "Created" or "Accepted" or "No Content")
                {
                    response["description"] = status switch { "201" => "Made.", "202" => "Accepted; the work goes on.", "204" => "Done.", _ => "The answer." };
                }
            }
            else if (status is "429" or "503")
            {
                headers["Retry-After"] = Ref("RetryAfter");
            }

            response!["headers"] = headers;
        }

        static JsonObject Ref(string name) => new() { ["$ref"] = $"#/components/headers/{name}" };
    }

    [GeneratedRegex(@"^(.+?[.](?=\s|$)|.+$)")]
    private static partial Regex FirstSentence();

    [GeneratedRegex("([A-Z0-9]+)")]
    private static partial Regex Words();
}
