using System.Text.Json.Nodes;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Contract;

/// <summary>An OpenAPI document as a host serves it.</summary>
internal sealed class ApiDocument(JsonObject json)
{
    private static readonly string[] Methods = ["get", "post", "put", "patch", "delete"];

    public JsonObject Json => json;

    public SchemaJudge Judge { get; } = new(json);

    public IReadOnlyList<Operation> Operations { get; } =
        (from path in json["paths"]!.AsObject()
         from method in path.Value!.AsObject()
         where Methods.Contains(method.Key)
         select new Operation(path.Key, method.Key.ToUpperInvariant(), method.Value!.AsObject())).ToList();

    public static async Task<ApiDocument> OfAsync(TestHost host, string name)
    {
        var answer = await host.SendAsync(HttpMethod.Get, $"/openapi/{name}.json", null);
        Assert.That((int)answer.Status, Is.EqualTo(200));
        return new ApiDocument(answer.Body!.AsObject());
    }
}

internal sealed record Operation(string Path, string Method, JsonObject Json)
{
    public string Id => Json["operationId"]!.GetValue<string>();

    public string Tag => Json["tags"]![0]!.GetValue<string>();

    public bool IsSeed => Tag.StartsWith("Seed", StringComparison.Ordinal);

    /// <summary>The scope a key needs; null where none is needed.</summary>
    public string? Scope => Json["x-scope"]?.GetValue<string>();

    public JsonObject? BodySchema => Json["requestBody"]?["content"]?["application/json"]?["schema"]?.AsObject();

    /// <summary>The request that the document gives as an example.</summary>
    public JsonNode? Example => Json["requestBody"]?["content"]?["application/json"]?["example"];

    public JsonNode? ExampleAnswer => Success.Value?["content"]?["application/json"]?["example"];

    public KeyValuePair<string, JsonNode?> Success => Json["responses"]!.AsObject().First(r => r.Key[0] == '2');

    public JsonObject? AnswerSchema => Success.Value?["content"]?["application/json"]?["schema"]?.AsObject();

    public IReadOnlyList<JsonObject> Parameters => Json["parameters"]?.AsArray().Select(p => p!.AsObject()).ToList() ?? [];

    public bool Documents(int status) => Json["responses"]!.AsObject().ContainsKey(status.ToString(null, null));

    public override string ToString() => $"{Method} {Path}";
}
