using System.Text.Json;
using System.Text.Json.Serialization;

namespace VoicePlatform.Client;

/// <summary>A word of a vocabulary that may grow: a newer platform's new word is kept as it came.</summary>
/// <typeparam name="TSelf">The vocabulary.</typeparam>
public interface IWord<out TSelf>
{
    string Value { get; }

    internal static abstract TSelf Of(string value);
}

internal sealed class WordConverter<TWord> : JsonConverter<TWord>
    where TWord : struct, IWord<TWord>
{
    public override TWord Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => TWord.Of(reader.GetString()!);

    public override void Write(Utf8JsonWriter writer, TWord value, JsonSerializerOptions options) => writer.WriteStringValue(value.Value);
}
