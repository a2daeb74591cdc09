using System.Security.Cryptography;

namespace VoicePlatform.Tenants.Data;

/// <summary>A tenant's provider key or tool secret, sealed.</summary>
internal sealed class Secret
{
    public const int ValueMaxLength = 8_192;

    public string TenantId { get; private init; } = "";
    public string Name { get; private init; } = "";
    public byte[] Value { get; private set; } = [];
    public int Revision { get; private set; }
    public DateTimeOffset CreatedAt { get; private init; }
    public DateTimeOffset UpdatedAt { get; private set; }

    public static Secret Keep(string tenantId, string name, string value, SecretBox box, DateTimeOffset now)
    {
        var secret = new Secret { TenantId = tenantId, Name = name, CreatedAt = now };
        secret.Change(value, box, now);
        return secret;
    }

    public void Change(string value, SecretBox box, DateTimeOffset now) =>
        (Value, Revision, UpdatedAt) = (box.Seal(value, BelongsTo(TenantId, Name)), Revision + 1, now);

    /// <exception cref="CryptographicException">Sealed with a key that is not there any more.</exception>
    public string Open(SecretBox box) => box.Open(Value, BelongsTo(TenantId, Name));

    private static string BelongsTo(string tenantId, string name) => $"secret:{tenantId}:{name}";
}
