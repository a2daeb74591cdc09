using System.Security.Cryptography;
using System.Text;

namespace VoicePlatform.Tenants.Events;

/// <summary>
/// Standard Webhooks: a signature over "id.timestamp.body", base64, for each secret in force, separated by spaces. HMAC-SHA256 after "v1,"
/// for secrets "whsec_…", Ed25519 after "v1a," for secret keys "whsk_…" (whose public keys, "whpk_…", receivers have).
/// </summary>
internal static class WebhookSignature
{
    public const string IdHeader = "webhook-id";
    public const string TimestampHeader = "webhook-timestamp";
    public const string SignatureHeader = "webhook-signature";

    private const string SharedPrefix = "whsec_";
    private const string PrivatePrefix = "whsk_";
    private const string PublicPrefix = "whpk_";
    private const int SecretBytes = 32;

    public static string NewSecret() => SharedPrefix + Convert.ToBase64String(RandomNumberGenerator.GetBytes(SecretBytes));

    public static (string Private, string Public) NewKeyPair()
    {
        var seed = RandomNumberGenerator.GetBytes(Ed25519.SeedBytes);
        return (PrivatePrefix + Convert.ToBase64String(seed), PublicPrefix + Convert.ToBase64String(Ed25519.PublicKey(seed)));
    }

    public static string Sign(IEnumerable<string> secrets, string id, long unixSeconds, ReadOnlySpan<byte> body)
    {
        var head = Encoding.UTF8.GetBytes($"{id}.{unixSeconds}.");
        var signed = new byte[head.Length + body.Length];
        head.CopyTo(signed, 0);
        body.CopyTo(signed.AsSpan(head.Length));
        return string.Join(' ', secrets.Select(secret => Sign(secret, signed)));
    }

    private static string Sign(string secret, byte[] signed) => secret.StartsWith(PrivatePrefix, StringComparison.Ordinal)
        ? "v1a," + Convert.ToBase64String(Ed25519.Sign(Convert.FromBase64String(secret[PrivatePrefix.Length..]), signed))
        : "v1," + Convert.ToBase64String(HMACSHA256.HashData(Convert.FromBase64String(secret[SharedPrefix.Length..]), signed));
}
