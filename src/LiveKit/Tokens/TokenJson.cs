using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Google.Protobuf;
using VoicePlatform.LiveKit.Protocol;

namespace VoicePlatform.LiveKit.Tokens;

internal static class TokenJson
{
    /// <summary>camelCase, false and null left out: the form LiveKit's Go SDK writes.</summary>
    public static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault,
        // Inside base64url there is no HTML to protect, and escaped text only makes tokens longer.
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        MaxDepth = 32,
    };
}

/// <summary>A room configuration inside a token is protobuf JSON.</summary>
internal sealed class RoomConfigurationJson : JsonConverter<RoomConfiguration>
{
    public override RoomConfiguration Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        using var document = JsonDocument.ParseValue(ref reader);
        return ProtobufJson.TryParse<RoomConfiguration>(document.RootElement.GetRawText(), out var configuration)
            ? configuration
            : throw new JsonException("roomConfig is not a room configuration.");
    }

    public override void Write(Utf8JsonWriter writer, RoomConfiguration value, JsonSerializerOptions options) =>
        writer.WriteRawValue(JsonFormatter.Default.Format(value));
}
