using System.Diagnostics.CodeAnalysis;
using Google.Protobuf;

namespace VoicePlatform.LiveKit;

/// <summary>Reads protobuf JSON from outside: newer fields are tolerated, and bad input is an answer, not an exception.</summary>
internal static class ProtobufJson
{
    private static readonly JsonParser Parser = new(JsonParser.Settings.Default.WithIgnoreUnknownFields(true));

    public static bool TryParse<T>(string json, [NotNullWhen(true)] out T? message)
        where T : class, IMessage<T>, new()
    {
        try
        {
            message = Parser.Parse<T>(json);
            return true;
        }
        catch (Exception e) when (e is InvalidProtocolBufferException or InvalidJsonException or InvalidOperationException
            or ArgumentException or FormatException or OverflowException)
        {
            message = null;
            return false;
        }
    }
}
