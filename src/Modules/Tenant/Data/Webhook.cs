using VoicePlatform.Tenants.Events;

namespace VoicePlatform.Tenants.Data;

internal enum Signing { Hmac, Ed25519 }

/// <summary>Why nothing is sent any more: its owner said so, it answered 410, or nothing had arrived for five days.</summary>
internal enum DisabledReason { User, Gone, Failing }

internal sealed class Webhook
{
    /// <summary>Every event goes to each: more would make one event many deliveries.</summary>
    public const int MostPerTenant = 20;
    public const int UrlMaxLength = 2000;
    public const int DescriptionMaxLength = 500;
    public const int MaxEventTypes = 50;
    public const int MaxOverlapHours = 168;

    public string Id { get; private init; } = "";
    public string TenantId { get; private init; } = "";
    public string Url { get; private set; } = "";
    public string Description { get; private set; } = "";

    /// <summary>Which events it gets ("call.*" is all of call's); empty is all.</summary>
    public List<string> EventTypes { get; private set; } = [];
    public Signing Signing { get; private init; }
    public byte[] Secret { get; private set; } = [];

    /// <summary>Ed25519 only.</summary>
    public string? PublicKey { get; private set; }

    /// <summary>Signs as well until <see cref="PreviousUntil"/>.</summary>
    public byte[]? PreviousSecret { get; private set; }
    public DateTimeOffset? PreviousUntil { get; private set; }
    public DateTimeOffset CreatedAt { get; private init; }
    public DateTimeOffset? DisabledAt { get; private set; }
    public DisabledReason? DisabledReason { get; private set; }

    /// <summary>The first failure since the last success.</summary>
    public DateTimeOffset? FailingSince { get; private set; }

    /// <summary>webhook.failing was announced, and webhook.recovered not yet.</summary>
    public DateTimeOffset? FailingToldAt { get; private set; }
    public DateTimeOffset? DeletedAt { get; private set; }
    public int Revision { get; private set; } = 1;

    /// <returns>The shared secret's text, which is kept sealed and returned here only; null with ed25519, whose private key nobody needs.</returns>
    public static (Webhook Webhook, string? Secret) Register(
        string tenantId, string url, string description, IEnumerable<string> eventTypes, Signing signing, SecretBox box, DateTimeOffset now)
    {
        var webhook = new Webhook
        {
            Id = Ids.New(Ids.Webhook, now),
            TenantId = tenantId,
            Url = url,
            Description = description,
            EventTypes = [.. eventTypes],
            Signing = signing,
            CreatedAt = now,
        };
        return (webhook, webhook.NewSecret(box));
    }

    /// <summary>A new secret; the old one signs beside it for the overlap.</summary>
    public string? Rotate(TimeSpan overlap, SecretBox box, DateTimeOffset now)
    {
        (PreviousSecret, PreviousUntil) = (Secret, now + overlap);
        Revision++;
        return NewSecret(box);
    }

    public void Change(string url, string description, IEnumerable<string> eventTypes)
    {
        (Url, Description, EventTypes) = (url, description, [.. eventTypes]);
        Revision++;
    }

    public void Disable(DisabledReason reason, DateTimeOffset now)
    {
        (DisabledAt, DisabledReason) = (now, reason);
        Revision++;
    }

    /// <summary>Starts afresh: what failed before does not count.</summary>
    public void Enable()
    {
        (DisabledAt, DisabledReason, FailingSince, FailingToldAt) = (null, null, null, null);
        Revision++;
    }

    public void ToldFailing(DateTimeOffset now) => FailingToldAt = now;

    public void ToldRecovered() => FailingToldAt = null;

    public void Delete(DateTimeOffset now)
    {
        DeletedAt ??= now;
        Revision++;
    }

    private string? NewSecret(SecretBox box)
    {
        if (Signing is Signing.Hmac)
        {
            var secret = WebhookSignature.NewSecret();
            Secret = box.Seal(secret, Id);
            return secret;
        }

        (var privateKey, PublicKey) = WebhookSignature.NewKeyPair();
        Secret = box.Seal(privateKey, Id);
        return null;
    }
}
