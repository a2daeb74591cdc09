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
    public DateTimeOffset? ExpiresAt { get; private set; }
    public DateTimeOffset? RevokedAt { get; private set; }
    public DateTimeOffset? LastUsedAt { get; private init; }
    public int Revision { get; private set; }

    /// <summary>The assistant of requests that name none.</summary>
    public string? DefaultAssistantId { get; private init; }

    /// <summary>The key whose place this one takes.</summary>
    public string? Replaces { get; private init; }

    /// <summary>The key's text is returned here and kept nowhere.</summary>
    public static (ApiKey Key, string Text) Issue(
        string tenantId, string userId, string name, IEnumerable<string> scopes, KeyMode mode, DateTimeOffset? expiresAt, DateTimeOffset now,
        string? defaultAssistantId = null, string? replaces = null)
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
            Revision = 1,
            DefaultAssistantId = defaultAssistantId,
            Replaces = replaces,
        }, text);
    }

    public static byte[] HashOf(string text) => SHA256.HashData(Encoding.UTF8.GetBytes(text));

    public bool IsUsable(DateTimeOffset now) => RevokedAt is null && (ExpiresAt is null || ExpiresAt > now);

    public void Revoke(DateTimeOffset now)
    {
        if (RevokedAt is null)
        {
            (RevokedAt, Revision) = (now, Revision + 1);
        }
    }

    /// <summary>A new key with the same rights. This one goes on for the overlap, unless it would have expired before.</summary>
    public (ApiKey Key, string Text) Rotate(TimeSpan overlap, DateTimeOffset now)
    {
        var last = now + overlap;
        var lifetime = ExpiresAt - CreatedAt;
        ExpiresAt = ExpiresAt < last ? ExpiresAt : last;
        Revision++;

        // A key that was made for a month is followed by one for a month.
        return Issue(TenantId, UserId, Name, Scopes, Mode, now + lifetime, now, DefaultAssistantId, Id);
    }
}
