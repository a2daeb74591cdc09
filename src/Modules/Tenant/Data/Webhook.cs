using System.Security.Cryptography;

namespace VoicePlatform.Tenants.Data;

internal sealed class Webhook
{
    public const int UrlMaxLength = 2000;
    private const int SecretBytes = 32;

    public string Id { get; private init; } = "";
    public string TenantId { get; private init; } = "";
    public string Url { get; private init; } = "";

    /// <summary>Which events it gets; empty is all.</summary>
    public List<string> EventTypes { get; private init; } = [];
    public byte[] Secret { get; private init; } = [];
    public DateTimeOffset CreatedAt { get; private init; }
    public DateTimeOffset? DisabledAt { get; private init; }
    public DateTimeOffset? DeletedAt { get; private set; }

    /// <summary>The secret's text ("whsec_" and base64, as Standard Webhooks has it) is returned here and stored sealed.</summary>
    public static (Webhook Webhook, string Secret) Register(string tenantId, string url, IEnumerable<string> eventTypes, SecretBox box, DateTimeOffset now)
    {
        var id = Ids.New(Ids.Webhook, now);
        var secret = "whsec_" + Convert.ToBase64String(RandomNumberGenerator.GetBytes(SecretBytes));
        return (new Webhook { Id = id, TenantId = tenantId, Url = url, EventTypes = [.. eventTypes], Secret = box.Seal(secret, id), CreatedAt = now }, secret);
    }

    public void Delete(DateTimeOffset now) => DeletedAt ??= now;
}
