using System.Text.Json;
using System.Text.Json.Serialization;

namespace VoicePlatform.Client;

/// <summary>A field of a PATCH: left out (default), set to a value, or taken back to its default (null).</summary>
[JsonConverter(typeof(ChangeConverter))]
public readonly record struct Change<T>
{
    public Change(T value) => (Value, IsSet) = (value, true);

    public T Value { get; }

    public bool IsSet { get; }

    public static implicit operator Change<T>(T value) => new(value);
}

internal sealed class ChangeConverter : JsonConverterFactory
{
    public override bool CanConvert(Type typeToConvert) => typeToConvert.IsGenericType && typeToConvert.GetGenericTypeDefinition() == typeof(Change<>);

    public override JsonConverter CreateConverter(Type typeToConvert, JsonSerializerOptions options) =>
        (JsonConverter)Activator.CreateInstance(typeof(Of<>).MakeGenericType(typeToConvert.GetGenericArguments()))!;

    private sealed class Of<T> : JsonConverter<Change<T>>
    {
        public override bool HandleNull => true;

        public override Change<T> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => new(JsonSerializer.Deserialize<T>(ref reader, options)!);

        public override void Write(Utf8JsonWriter writer, Change<T> value, JsonSerializerOptions options) => JsonSerializer.Serialize(writer, value.Value, options);
    }
}
