using VoicePlatform.Contracts.Tenants;
using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Events;

/// <summary>What the platform itself says and decides about a webhook. Runs inside a transaction, which it locks the webhook for.</summary>
internal sealed class WebhookHealth(TenantDb db, IMediator mediator, AuditLog audit, TimeProvider clock)
{
    public static readonly TimeSpan TellAfter = TimeSpan.FromDays(1);
    public static readonly TimeSpan DisableAfter = TimeSpan.FromDays(5);

    /// <summary>Nothing is sent to it any more, and its owners are told: by an event to their other webhooks, and by mail.</summary>
    public async Task<Result<Done>> DisableAsync(string webhookId, DisabledReason reason, CancellationToken ct)
    {
        if (await db.LockWebhookAsync(webhookId, ct) is not { DisabledAt: null } webhook)
        {
            return default(Done);
        }

        webhook.Disable(reason, clock.GetUtcNow());
        await db.SaveChangesAsync(ct);
        var why = reason is DisabledReason.Gone
            ? "It answered 410 Gone, which says that nobody listens there any more."
            : $"Every delivery has failed since {webhook.FailingSince:yyyy-MM-dd HH:mm} UTC.";
        await audit.NoteAsync("webhook.disabled", webhook.Id, new { reason = reason.ToString().ToLowerInvariant() }, ct, webhook.TenantId);
        await AnnounceAsync(EventTypes.WebhookDisabled, webhook, new { webhook_id = webhook.Id, webhook.Url, reason, webhook.FailingSince }, ct);
        await mediator.Send(
            new MailContacts(
                webhook.TenantId,
                "A webhook was disabled",
                $$"""
                Nothing is sent to {{webhook.Url}} (webhook {{webhook.Id}}) any more. {{why}}

                When the receiver works again, enable it with PATCH /v1/webhooks/{{webhook.Id}} and the body {"enabled": true}, and have what did not
                arrive sent with POST /v1/webhooks/{{webhook.Id}}/replay. Until then, GET /v1/events has every event.
                """),
            ct);
        return default(Done);
    }

    /// <summary>Announces what has come about since the last look: failing for a day, for five days, not failing any more.</summary>
    public async Task<Result<Done>> CheckAsync(string webhookId, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        if (await db.LockWebhookAsync(webhookId, ct) is not { DisabledAt: null } webhook)
        {
            return default(Done);
        }

        if (webhook.FailingSince <= now - DisableAfter)
        {
            return await DisableAsync(webhookId, DisabledReason.Failing, ct);
        }

        if (webhook.FailingSince <= now - TellAfter && webhook.FailingToldAt is null)
        {
            webhook.ToldFailing(now);
            await AnnounceAsync(EventTypes.WebhookFailing, webhook, new { webhook_id = webhook.Id, webhook.Url, webhook.FailingSince }, ct);
        }
        else if (webhook is { FailingSince: null, FailingToldAt: not null })
        {
            webhook.ToldRecovered();
            await AnnounceAsync(EventTypes.WebhookRecovered, webhook, new { webhook_id = webhook.Id, webhook.Url }, ct);
        }

        await db.SaveChangesAsync(ct);
        return default(Done);
    }

    private Task AnnounceAsync(string type, Webhook webhook, object data, CancellationToken ct) =>
        mediator.Send(new Announce(webhook.TenantId, type, webhook.Id, Json.Write(data), false), ct);
}
