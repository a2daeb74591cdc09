using System.Security.Cryptography;
using System.Text;
using Google.Protobuf;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;

namespace VoicePlatform.LiveKit.Webhooks;

/// <summary>Makes webhooks as a LiveKit server sends them.</summary>
public static class WebhookSigner
{
    public const string ContentType = "application/webhook+json";

    private static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(5);

    /// <summary>The request body: camelCase, unset fields left out, 64-bit numbers as strings.</summary>
    public static byte[] Serialize(WebhookEvent webhook) => Encoding.UTF8.GetBytes(JsonFormatter.Default.Format(webhook));

    /// <summary>The value of the Authorization header for exactly these bytes: a bare token, without "Bearer".</summary>
    public static string Sign(ReadOnlySpan<byte> body, ApiKey key, DateTimeOffset now) =>
        new AccessToken { Sha256 = Convert.ToBase64String(SHA256.HashData(body)) }.Sign(key, now, Lifetime);
}
