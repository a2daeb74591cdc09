using System.Security.Cryptography;
using System.Text;

namespace VoicePlatform.Tenants.Data;

internal enum KeyMode { Live, Test }

internal sealed class ApiKey
{
    public const int NameMaxLength = 100;

    private const string LivePrefix = "lvk_";
    private const string TestPrefix = "lvk_test_";
    private const int SecretBytes = 32;
    private const int HintLength = 4;

    public string Id { get; private init; } = "";
    public string TenantId { get; private init; } = "";
    public string UserId { get; private init; } = "";
    public string Name { get; private init; } = "";
    public byte[] Hash { get; private init; } = [];

    /// <summary>The last characters of the key, so that people can tell their keys apart.</summary>
    public string Hint { get; private init; } = "";
    public List<string> Scopes { get; private init; } = [];
    public KeyMode Mode { get; private init; }
    public DateTimeOffset CreatedAt { get; private init; }
    public DateTimeOffset? ExpiresAt { get; private init; }
    public DateTimeOffset? RevokedAt { get; private set; }
    public DateTimeOffset? LastUsedAt { get; private init; }

    /// <summary>The key's text is returned here and kept nowhere.</summary>
    public static (ApiKey Key, string Text) Issue(
        string tenantId, string userId, string name, IEnumerable<string> scopes, KeyMode mode, DateTimeOffset? expiresAt, DateTimeOffset now)
    {
        var text = (mode is KeyMode.Test ? TestPrefix : LivePrefix) + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(SecretBytes));
        return (new ApiKey
        {
            Id = Ids.New(Ids.Key, now),
            TenantId = tenantId,
            UserId = userId,
            Name = name,
            Hash = HashOf(text),
            Hint = text[^HintLength..],
            Scopes = [.. scopes],
            Mode = mode,
            CreatedAt = now,
            ExpiresAt = expiresAt,
        }, text);
    }

    public static byte[] HashOf(string text) => SHA256.HashData(Encoding.UTF8.GetBytes(text));

    public void Revoke(DateTimeOffset now) => RevokedAt ??= now;
}
