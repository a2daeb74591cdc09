using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;

namespace VoicePlatform.LiveKit.Webhooks;

/// <summary>Checks and reads the webhooks a LiveKit server sends. The signature is over the raw bytes, so hand those in unparsed.</summary>
public sealed class WebhookReceiver(TokenVerifier tokens)
{
    private const string BearerPrefix = "Bearer ";

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Reads a webhook if its token is genuine and speaks of this body.</summary>
    /// <param name="authorization">The Authorization header; LiveKit sends the bare token.</param>
    /// <param name="refusal">One sentence when the answer is false.</param>
    public bool TryReceive(
        ReadOnlySpan<byte> body,
        string? authorization,
        [NotNullWhen(true)] out WebhookEvent? webhook,
        [NotNullWhen(false)] out string? refusal)
    {
        webhook = null;
        if (authorization?.StartsWith(BearerPrefix, StringComparison.OrdinalIgnoreCase) is true)
        {
            authorization = authorization[BearerPrefix.Length..];
        }

        if (!tokens.TryVerify(authorization, out var verified, out refusal))
        {
            return false;
        }

        if (!IsDigestOf(verified.Token.Sha256, body))
        {
            refusal = "The webhook's token was made for another body.";
            return false;
        }

        if (!TryDecode(body, out var json) || !ProtobufJson.TryParse(json, out webhook))
        {
            refusal = "The webhook's body is not a webhook event.";
            return false;
        }

        return true;
    }

    private static bool TryDecode(ReadOnlySpan<byte> body, [NotNullWhen(true)] out string? text)
    {
        try
        {
            text = StrictUtf8.GetString(body);
            return true;
        }
        catch (DecoderFallbackException)
        {
            text = null;
            return false;
        }
    }

    private static bool IsDigestOf(string? claim, ReadOnlySpan<byte> body)
    {
        Span<byte> claimed = stackalloc byte[SHA256.HashSizeInBytes];
        Span<byte> actual = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(body, actual);
        return claim is not null
            && Convert.TryFromBase64String(claim, claimed, out var length)
            && length == claimed.Length
            && CryptographicOperations.FixedTimeEquals(claimed, actual);
    }
}
