using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.OpenApi;

namespace VoicePlatform.Host.OpenApi;

/// <summary>
/// What a type is called in the document. Slices name their shapes all alike (Command, Response, Item): here the slice's name goes before.
/// Remembers which type a name stands for.
/// </summary>
internal sealed class SchemaNames
{
    private readonly ConcurrentDictionary<string, JsonTypeInfo> _types = new();

    public JsonTypeInfo? TypeOf(string name) => _types.GetValueOrDefault(name);

    public bool IsObject(string name) => TypeOf(name) is { Kind: JsonTypeInfoKind.Object };

    public string? Of(JsonTypeInfo type)
    {
        if ((Nullable.GetUnderlyingType(type.Type) ?? type.Type) == typeof(JsonElement) || OpenApiOptions.CreateDefaultSchemaReferenceId(type) is null)
        {
            return null;
        }

        var bare = Nullable.GetUnderlyingType(type.Type) ?? type.Type;
        var name = Of(bare);
        var known = _types.GetOrAdd(name, bare == type.Type ? type : type.Options.GetTypeInfo(bare)).Type;
        return known == bare ? name : throw new InvalidOperationException($"'{name}' in the OpenAPI document would be both {known} and {bare}: rename one.");
    }

    private static string Of(Type type)
    {
        if (type.IsGenericType)
        {
            return Of(type.GetGenericArguments()[0]) + type.Name[..type.Name.IndexOf('`', StringComparison.Ordinal)];
        }

        var name = type.Name.Length > 4 && type.Name.EndsWith("View", StringComparison.Ordinal) ? type.Name[..^4] : type.Name;
        return type.DeclaringType is { } slice ? OfNested(slice.Name, name) : name;
    }

    /// <summary>What every slice has is told apart by the slice; what only one has keeps its own name.</summary>
    private static string OfNested(string slice, string name) => name switch
    {
        "Command" or "Body" or "Range" or "Rotation" => slice + "Request",
        "Fields" or "Change" => slice,
        "Response" or "Item" or "Row" or "Line" => slice + name,
        _ => name,
    };
}
