using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Mvc.ApiExplorer;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace VoicePlatform.Host.OpenApi;

/// <summary>
/// The two OpenAPI documents: v1 is the canonical API, compat the seeds' own routes. Generated from the endpoints once, then made to say
/// what the conventions, the comments of the sources, docs/errors.md and the examples know.
/// </summary>
internal sealed class ApiDocuments(IServiceProvider services, EndpointDataSource endpoints, SchemaNames names)
{
    public const string V1 = "v1";
    public const string Compat = "compat";

    private static readonly JsonSerializerOptions Written = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly ConcurrentDictionary<string, Lazy<Task<byte[]>>> _documents = new();

    /// <summary>A document as UTF-8 JSON.</summary>
    public Task<byte[]> BytesAsync(string name) => _documents.GetOrAdd(name, n => new(() => MakeAsync(n))).Value;

    private async Task<byte[]> MakeAsync(string name)
    {
        var generated = await services.GetRequiredKeyedService<IOpenApiDocumentProvider>(name).GetOpenApiDocumentAsync();
        await using var text = new StringWriter(CultureInfo.InvariantCulture);
        generated.SerializeAsV31(new OpenApiJsonWriter(text));
        var document = JsonNode.Parse(text.ToString())!.AsObject();
        Frame(document, name);

        var schemas = new Schemas(document, names);
        schemas.Polish();
        var byName = endpoints.Endpoints.OfType<RouteEndpoint>()
            .Where(e => e.Metadata.GetMetadata<IEndpointNameMetadata>() is not null)
            .ToDictionary(e => e.Metadata.GetMetadata<IEndpointNameMetadata>()!.EndpointName);
        var operations = document["paths"]!.AsObject().SelectMany(p => p.Value!.AsObject()).Where(o => o.Value is JsonObject).ToList();
        operations.ForEach(o => AllowNoBody(o.Value!));
        foreach (var (_, patch) in operations.Where(o => o.Key == "patch" && o.Value!["requestBody"] is not null))
        {
            schemas.MakePatch(patch!["requestBody"]!.AsObject());
        }

        var requests = operations.Where(o => o.Key != "patch").Select(o => o.Value!["requestBody"]).OfType<JsonObject>().ToList();
        schemas.Separate(requests, operations.Select(o => o.Value!["responses"]).OfType<JsonObject>().ToList());
        requests.ForEach(schemas.RefuseNull);
        new Operations(document, byName).Polish();
        Examples.AddTo(document);
        schemas.Sweep();
        return JsonSerializer.SerializeToUtf8Bytes(document, Written);
    }

    /// <summary>A body that may be missing is told by "required", not by a choice of null.</summary>
    private static void AllowNoBody(JsonNode operation)
    {
        if (operation["requestBody"]?["content"]?["application/json"] is JsonObject body && body["schema"]?["oneOf"] is JsonArray choices && choices.FirstOrDefault(c => c!["$ref"] is not null) is { } shape)
        {
            body["schema"] = shape.DeepClone();
            operation["requestBody"]!["required"] = false;
        }
    }

    private static void Frame(JsonObject document, string name)
    {
        document["info"] = new JsonObject
        {
            ["title"] = name == V1 ? "VoicePlatform" : "VoicePlatform, routes of the four seeds",
            ["version"] = "1",
            ["description"] = name == V1
                ? "An AI that talks: on the telephone over your SIP trunks, in the browser, in text. See docs/api.md for the conventions and docs/errors.md for every error code."
                : "The routes, payloads and envelopes of the seed systems, kept beside /v1 over the same commands.",
        };
        document["servers"] = new JsonArray(new JsonObject { ["url"] = "/" });
        var components = document["components"] as JsonObject ?? [];
        document["components"] = components;
        components["schemas"] ??= new JsonObject();
        components["schemas"]!["Problem"] = ProblemSchema();
        components["schemas"]!["FieldError"] = FieldErrorSchema();
        components["headers"] = new JsonObject
        {
            ["RequestId"] = Header("The request's id; the logs know it too.", "string"),
            ["RetryAfter"] = Header("Seconds after which trying again makes sense.", "integer"),
            ["RateLimitLimit"] = Header("Requests that the key may make in a window.", "integer"),
            ["RateLimitRemaining"] = Header("Requests that are left at this moment.", "integer"),
            ["RateLimitReset"] = Header("Seconds until all of them are back.", "integer"),
            ["ETag"] = Header("The revision, for If-Match.", "string"),
            ["IdempotencyReplayed"] = Header("\"true\" when this is the answer of an earlier request with the same Idempotency-Key.", "string"),
        };
        components["securitySchemes"] = new JsonObject
        {
            ["key"] = new JsonObject { ["type"] = "apiKey", ["in"] = "header", ["name"] = "x-api-key", ["description"] = "An API key, `lvk_…`." },
            ["bearer"] = new JsonObject { ["type"] = "http", ["scheme"] = "bearer", ["description"] = "The same key as `Authorization: Bearer lvk_…`." },
        };

        // The package leaves the order to chance.
        var paths = document["paths"]!.AsObject().OrderBy(p => TagsOf(p.Value!).Min(Rank)).ThenBy(p => p.Key, StringComparer.Ordinal).ToList();
        document["tags"] = new JsonArray([.. paths.SelectMany(p => TagsOf(p.Value!)).Distinct().Select(t => (JsonNode)new JsonObject { ["name"] = t })]);
        document["paths"] = new JsonObject(paths.Select(p => KeyValuePair.Create(p.Key, p.Value?.DeepClone())));

        static IEnumerable<string> TagsOf(JsonNode path) =>
            path.AsObject().Select(o => o.Value).OfType<JsonObject>().SelectMany(o => o["tags"]?.AsArray().Select(t => t!.GetValue<string>()) ?? []).DefaultIfEmpty("");

        static int Rank(string tag) => Array.IndexOf(Tags, tag) is var place and >= 0 ? place : Tags.Length;
    }

    /// <summary>Resources in the order of the guide.</summary>
    private static readonly string[] Tags =
    [
        "Keys", "Assistants", "Tools", "Trunks", "Numbers", "Calls", "Sessions", "Token", "Tenant", "Users", "Audit", "Secrets",
        "Webhooks", "Deliveries", "Events", "Billing", "Tenants", "Analytics", "Seed 000", "Seed 001", "Seed 003", "Seed 004",
    ];

    private static JsonObject Header(string says, string type) => new() { ["description"] = says, ["schema"] = new JsonObject { ["type"] = type } };

    private static JsonObject ProblemSchema() => JsonNode.Parse(
        """
        {
          "type": "object",
          "description": "Why a request was refused (RFC 9457).",
          "required": ["type", "title", "status", "detail", "code", "errors", "request_id"],
          "properties": {
            "type": { "type": "string", "description": "urn:voiceplatform:error: and the code." },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "For people; may change." },
            "code": { "type": "string", "description": "For programs: one of docs/errors.md, never renamed." },
            "errors": { "type": "array", "description": "The fields that were refused.", "items": { "$ref": "#/components/schemas/FieldError" } },
            "request_id": { "type": "string", "description": "The logs know it." }
          }
        }
        """)!.AsObject();

    private static JsonObject FieldErrorSchema() => JsonNode.Parse(
        """
        {
          "type": "object",
          "required": ["field", "code", "message"],
          "properties": {
            "field": { "type": "string", "description": "The JSON path as the sender wrote it, as in greeting.text." },
            "code": { "type": "string" },
            "message": { "type": "string" }
          }
        }
        """)!.AsObject();
}

internal static class OpenApiStartUp
{
    public static IServiceCollection AddApiDocuments(this IServiceCollection services)
    {
        var names = new SchemaNames();
        services.AddSingleton(names);
        services.AddSingleton<ApiDocuments>();
        services.AddSingleton<IApiDescriptionProvider, AcceptedBodies>();
        foreach (var name in new[] { ApiDocuments.V1, ApiDocuments.Compat })
        {
            services.AddOpenApi(name, options =>
            {
                options.OpenApiVersion = OpenApiSpecVersion.OpenApi3_1;
                options.CreateSchemaReferenceId = names.Of;
                options.ShouldInclude = d => (name == ApiDocuments.V1) == (d.RelativePath!.StartsWith("v1/", StringComparison.Ordinal) && !IsSeed(d.ActionDescriptor.EndpointMetadata));
            });
        }

        return services;
    }

    private static bool IsSeed(IList<object> metadata) =>
        metadata.OfType<ITagsMetadata>().Any(t => t.Tags.Any(tag => tag.StartsWith("Seed", StringComparison.Ordinal)));

    /// <summary>A slice that reads its body as plain JSON, to name wrong fields itself, says by Accepts what belongs there.</summary>
    private sealed class AcceptedBodies : IApiDescriptionProvider
    {
        /// <summary>After the endpoints were read.</summary>
        public int Order => 0;

        public void OnProvidersExecuting(ApiDescriptionProviderContext context)
        {
            foreach (var description in context.Results)
            {
                var accepted = description.ActionDescriptor.EndpointMetadata.OfType<IAcceptsMetadata>().LastOrDefault()?.RequestType;
                if (description.ParameterDescriptions.FirstOrDefault(p => p.Type == typeof(JsonElement)) is { } body && accepted is not null)
                {
                    body.Type = accepted;
                }
            }
        }

        public void OnProvidersExecuted(ApiDescriptionProviderContext context)
        {
        }
    }

    /// <summary>The documents, for anybody, and the page to read and try them.</summary>
    public static void MapApiDocuments(this WebApplication app)
    {
        foreach (var name in new[] { ApiDocuments.V1, ApiDocuments.Compat })
        {
            app.MapGet($"/openapi/{name}.json", async (ApiDocuments documents) => Results.Bytes(await documents.BytesAsync(name), "application/json"))
                .AllowAnonymous().ExcludeFromDescription();
        }
    }

    /// <summary>The host's verb `openapi FOLDER`: the documents as files, without a database or a media server.</summary>
    public static async Task WriteApiDocumentsAsync(WebApplicationBuilder builder, string folder)
    {
        var data = Directory.CreateTempSubdirectory("voiceplatform-openapi");
        try
        {
            builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["DATABASE_URL"] = "Host=nowhere", ["DATA_DIR"] = data.FullName, ["VOICEPLATFORM_ENV"] = "development" });
            await using var app = StartUp.Build(builder, new Settings(builder.Configuration));

            // The services know the endpoints from here on, as they do when a host has started.
            app.UseRouting();
            app.UseEndpoints(_ => { });
            Directory.CreateDirectory(folder);
            foreach (var name in new[] { ApiDocuments.V1, ApiDocuments.Compat })
            {
                await File.WriteAllBytesAsync(Path.Combine(folder, $"{name}.json"), await app.Services.GetRequiredService<ApiDocuments>().BytesAsync(name));
            }
        }
        finally
        {
            data.Delete(recursive: true);
        }
    }
}
