using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using VoicePlatform.LiveKit.Protocol;

namespace VoicePlatform.LiveKit.Tokens;

/// <summary>
/// The claims of a LiveKit access token, named as LiveKit's SDKs write them. <see cref="Sign"/> makes the token;
/// <see cref="TokenVerifier"/> reads one back.
/// </summary>
public sealed record AccessToken
{
    /// <summary>Six hours, as in LiveKit's SDKs.</summary>
    public static readonly TimeSpan DefaultLifetime = TimeSpan.FromHours(6);

    private static readonly byte[] EncodedHeader =
        Encoding.ASCII.GetBytes(Base64Url.EncodeToString("""{"alg":"HS256","typ":"JWT"}"""u8));

    /// <summary>The participant's identity; <c>sub</c>. Needed to join a room.</summary>
    [JsonIgnore]
    public string Identity { get; init; } = "";

    public string? Name { get; init; }

    /// <summary>standard, ingress, egress, sip or agent; absent: standard.</summary>
    public string? Kind { get; init; }

    public IReadOnlyList<string>? KindDetails { get; init; }

    public string? Metadata { get; init; }

    public IReadOnlyDictionary<string, string>? Attributes { get; init; }

    public VideoGrant? Video { get; init; }

    public SipGrant? Sip { get; init; }

    public AgentGrant? Agent { get; init; }

    public InferenceGrant? Inference { get; init; }

    /// <summary>Base64 of the SHA-256 of a webhook's body.</summary>
    public string? Sha256 { get; init; }

    public string? RoomPreset { get; init; }

    /// <summary>Applied when this participant's join creates the room.</summary>
    [JsonConverter(typeof(RoomConfigurationJson))]
    public RoomConfiguration? RoomConfig { get; init; }

    /// <summary>Signs the claims with HS256.</summary>
    /// <param name="now">Becomes <c>nbf</c> and <c>iat</c>.</param>
    /// <param name="lifetime">Until <c>exp</c>; whole seconds; <see cref="DefaultLifetime"/> when null.</param>
    /// <exception cref="InvalidOperationException">The token would let somebody without an identity join a room, or the secret is empty.</exception>
    public string Sign(ApiKey key, DateTimeOffset now, TimeSpan? lifetime = null)
    {
        if (Video is { RoomJoin: true } && Identity.Length == 0)
        {
            throw new InvalidOperationException("A token that allows joining a room needs an identity.");
        }

        if (key.Id.Length == 0 || key.Secret.Length == 0)
        {
            throw new InvalidOperationException("Signing a LiveKit token needs an API key and its secret.");
        }

        var claims = JsonSerializer.SerializeToNode(this, TokenJson.Options)!.AsObject();
        var issuedAt = now.ToUnixTimeSeconds();
        claims["iss"] = key.Id;
        claims["nbf"] = issuedAt;
        claims["iat"] = issuedAt;
        claims["exp"] = issuedAt + (long)(lifetime ?? DefaultLifetime).TotalSeconds;
        if (Identity.Length > 0)
        {
            claims["sub"] = Identity;
        }

        return Join(claims, key.Secret);
    }

    private static string Join(JsonObject claims, string secret)
    {
        var payload = Base64Url.EncodeToString(JsonSerializer.SerializeToUtf8Bytes(claims, TokenJson.Options));
        byte[] signed = [.. EncodedHeader, (byte)'.', .. Encoding.ASCII.GetBytes(payload)];
        var signature = HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), signed);
        return $"{Encoding.ASCII.GetString(signed)}.{Base64Url.EncodeToString(signature)}";
    }
}
