using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace VoicePlatform.LiveKit.Tokens;

/// <summary>A token that was found genuine and in force.</summary>
/// <param name="Token">Its claims.</param>
/// <param name="ApiKeyId">The key that signed it.</param>
/// <param name="ExpiresAt">Its <c>exp</c>, without leeway.</param>
public sealed record VerifiedToken(AccessToken Token, string ApiKeyId, DateTimeOffset ExpiresAt);

/// <summary>
/// Checks LiveKit access tokens: HS256 only, signature compared in constant time, in force now. Anything may be handed to it.
/// </summary>
/// <param name="secretOf">The secret of an API key, or null for a key we do not know.</param>
/// <param name="leeway">How far the issuer's clock may be off; 10 s when null.</param>
public sealed class TokenVerifier(Func<string, string?> secretOf, TimeProvider clock, TimeSpan? leeway = null)
{
    /// <summary>Longer tokens are refused unread.</summary>
    public const int MaxLength = 64 * 1024;

    private const int SignatureLength = 43;

    // The last second DateTimeOffset can hold; a later exp means "never" and is clamped.
    private const double MaxUnixSeconds = 253_402_300_799;

    private readonly double _leewaySeconds = (leeway ?? TimeSpan.FromSeconds(10)).TotalSeconds;

    public TokenVerifier(ApiKey key, TimeProvider clock, TimeSpan? leeway = null)
        : this(id => id == key.Id ? key.Secret : null, clock, leeway)
    {
    }

    /// <summary>Verifies a token.</summary>
    /// <param name="refusal">One sentence for the caller when the answer is false; it contains nothing of the token.</param>
    public bool TryVerify(string? token, [NotNullWhen(true)] out VerifiedToken? verified, [NotNullWhen(false)] out string? refusal)
    {
        verified = null;
        refusal = Check(token, out verified);
        return refusal is null;
    }

    private string? Check(string? token, out VerifiedToken? verified)
    {
        verified = null;
        if (string.IsNullOrEmpty(token))
        {
            return "No token was given.";
        }

        if (token.Length > MaxLength)
        {
            return "The token is too long.";
        }

        var headerEnd = token.IndexOf('.', StringComparison.Ordinal);
        var payloadEnd = token.LastIndexOf('.');
        if (headerEnd <= 0 || payloadEnd <= headerEnd + 1 || token.AsSpan(headerEnd + 1, payloadEnd - headerEnd - 1).Contains('.'))
        {
            return "The token is not a JWT.";
        }

        if (Decode(token.AsSpan(0, headerEnd)) is not { } header || !IsHs256(header))
        {
            return "The token is not signed with HS256.";
        }

        if (Decode(token.AsSpan(headerEnd + 1, payloadEnd - headerEnd - 1)) is not { } payload || !TryRead(payload, out var registered))
        {
            return "The token's claims are not readable.";
        }

        if (registered.Issuer is not { Length: > 0 } keyId || secretOf(keyId) is not { Length: > 0 } secret)
        {
            return "The token's API key is not known here.";
        }

        if (!SignatureMatches(token, payloadEnd, secret))
        {
            return "The token's signature is wrong.";
        }

        return CheckTimes(registered) ?? ReadClaims(payload, registered, keyId, out verified);
    }

    private string? CheckTimes(RegisteredClaims claims)
    {
        var now = clock.GetUtcNow().ToUnixTimeMilliseconds() / 1000.0;
        return claims switch
        {
            { Expires: null } => "The token has no expiry.",
            { Expires: { } expires } when !(expires + _leewaySeconds > now) => "The token has expired.",
            { NotBefore: { } notBefore } when !(notBefore - _leewaySeconds <= now) => "The token is not valid yet.",
            _ => null,
        };
    }

    private static string? ReadClaims(byte[] payload, RegisteredClaims registered, string keyId, out VerifiedToken? verified)
    {
        verified = null;
        try
        {
            var token = JsonSerializer.Deserialize<AccessToken>(payload, TokenJson.Options)!;
            var expires = DateTimeOffset.UnixEpoch.AddSeconds(Math.Clamp(registered.Expires!.Value, 0, MaxUnixSeconds));
            verified = new VerifiedToken(token with { Identity = registered.Subject ?? "" }, keyId, expires);
            return null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            return "The token's claims are not readable.";
        }
    }

    private static bool SignatureMatches(string token, int payloadEnd, string secret)
    {
        Span<byte> expected = stackalloc byte[HMACSHA256.HashSizeInBytes];
        HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), Encoding.UTF8.GetBytes(token[..payloadEnd]), expected);
        var encoded = token.AsSpan(payloadEnd + 1);
        return encoded.Length == SignatureLength && Decode(encoded) is { } given && CryptographicOperations.FixedTimeEquals(expected, given);
    }

    private static byte[]? Decode(ReadOnlySpan<char> encoded)
    {
        try
        {
            return Base64Url.DecodeFromChars(encoded);
        }
        catch (FormatException)
        {
            return null;
        }
    }

    private static bool IsHs256(byte[] header)
    {
        try
        {
            using var document = JsonDocument.Parse(header);
            return document.RootElement.ValueKind == JsonValueKind.Object
                && document.RootElement.TryGetProperty("alg", out var algorithm)
                && algorithm.ValueKind == JsonValueKind.String
                && algorithm.ValueEquals("HS256");
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static bool TryRead(byte[] payload, out RegisteredClaims claims)
    {
        claims = default;
        try
        {
            using var document = JsonDocument.Parse(payload, new JsonDocumentOptions { MaxDepth = 32 });
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
            {
                return false;
            }

            claims = new RegisteredClaims(Text(root, "iss"), Text(root, "sub"), Seconds(root, "exp"), Seconds(root, "nbf"));
            return true;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            return false;
        }
    }

    private static string? Text(JsonElement root, string name) => root.TryGetProperty(name, out var value) ? value.GetString() : null;

    private static double? Seconds(JsonElement root, string name) => root.TryGetProperty(name, out var value) ? value.GetDouble() : null;

    private readonly record struct RegisteredClaims(string? Issuer, string? Subject, double? Expires, double? NotBefore);
}
