using VoicePlatform.Assistants.Tools;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Assistants.Data;

/// <summary>A tool of a tenant. Header values are sealed beside the document, which only has their names.</summary>
internal sealed class Tool
{
    public string Id { get; private init; } = "";
    public string TenantId { get; private init; } = "";
    public string Name { get; private set; } = "";
    public string Type { get; private set; } = "";
    public string Document { get; private set; } = "{}";
    public byte[]? Headers { get; private set; }
    public int Revision { get; private set; }
    public DateTimeOffset CreatedAt { get; private init; }
    public DateTimeOffset UpdatedAt { get; private set; }
    public DateTimeOffset? DeletedAt { get; private set; }

    public static Tool Create(string tenantId, ToolDocument document, SecretBox box, DateTimeOffset now)
    {
        var tool = new Tool { Id = Ids.New(Ids.Tool, now), TenantId = tenantId, CreatedAt = now };
        tool.Change(document, box, now);
        return tool;
    }

    /// <param name="document">With header values in clear.</param>
    public void Change(ToolDocument document, SecretBox box, DateTimeOffset now)
    {
        var headers = HeadersOf(document);
        (Name, Type) = (document.Name, System.Text.Json.JsonNamingPolicy.SnakeCaseLower.ConvertName(document.Type.ToString()));
        Document = Json.Write(With(document, headers?.ToDictionary(h => h.Key, _ => "")));
        Headers = headers is { Count: > 0 } ? box.Seal(Json.Write(headers), Id) : null;
        (Revision, UpdatedAt) = (Revision + 1, now);
    }

    public void Delete(DateTimeOffset now) => (DeletedAt, UpdatedAt, Revision) = (now, now, Revision + 1);

    /// <summary>For use: header values in clear.</summary>
    public ToolDocument Open(SecretBox box)
    {
        var document = Json.ReadKept<ToolDocument>(Document);
        return Headers is null ? document : With(document, Json.Read<Dictionary<string, string>>(box.Open(Headers, Id)));
    }

    /// <summary>For answers: a header that has nothing but names of secrets, after a scheme (Bearer), is shown; every other value is masked.</summary>
    public ToolDocument Show(SecretBox box)
    {
        var open = Open(box);
        return With(open, HeadersOf(open)?.ToDictionary(h => h.Key, h => ToolSecrets.IsOnlyNames(h.Value) ? h.Value : Mask.Text));
    }

    public static IReadOnlyDictionary<string, string>? HeadersOf(ToolDocument document) => document.Webhook?.Headers ?? document.Mcp?.Headers;

    public static ToolDocument With(ToolDocument document, IReadOnlyDictionary<string, string>? headers) => document with
    {
        Webhook = document.Webhook is { } webhook ? webhook with { Headers = headers } : null,
        Mcp = document.Mcp is { } mcp ? mcp with { Headers = headers } : null,
    };
}
