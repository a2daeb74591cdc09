using VoicePlatform.Tenants.Data;
using VoicePlatform.Tenants.Events;

namespace VoicePlatform.Tenants.Features;

/// <summary>Changes the given fields. Disabling holds no events back: they are in the log, and a replay brings them.</summary>
internal static class UpdateWebhook
{
    public static void Map(RouteGroupBuilder webhooks) => webhooks
        .MapPatch("/{id}", async (string id, Change change, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(id, Etag.Wanted(http), change.Url, change.EventTypes, change.Description, change.Enabled), ct))
                .ToHttp(r => WebhookView.Answer(r, http)))
        .WithName(nameof(UpdateWebhook))
        .Produces<WebhookView>();

    public sealed record Change(string? Url, IReadOnlyList<string>? EventTypes, string? Description, bool? Enabled);

    public sealed record Command(string WebhookId, string IfMatch, string? Url, IReadOnlyList<string>? EventTypes, string? Description, bool? Enabled) : ICommand<WebhookView>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator(OutboundGuard guard)
        {
            RuleFor(c => c.Url).IsReceiver(guard);
            this.AreEventFilters(c => c.EventTypes);
            RuleFor(c => c.Description).MaximumLength(Webhook.DescriptionMaxLength);
        }
    }

    internal sealed class Handler(TenantDb db, Caller caller, AuditLog audit, TimeProvider clock) : IRequestHandler<Command, Result<WebhookView>>
    {
        public async Task<Result<WebhookView>> Handle(Command command, CancellationToken cancellationToken)
        {
            if (await db.LockWebhookAsync(command.WebhookId, cancellationToken) is not { } webhook || webhook.TenantId != caller.TenantId)
            {
                return TenantErrors.WebhookNotFound;
            }

            if (Etag.Refusal(command.IfMatch, webhook.Revision) is { } changed)
            {
                return changed;
            }

            var now = clock.GetUtcNow();
            webhook.Change(command.Url ?? webhook.Url, command.Description ?? webhook.Description, command.EventTypes ?? webhook.EventTypes);
            if (command.Enabled is true)
            {
                webhook.Enable();
            }
            else if (command.Enabled is false && webhook.DisabledAt is null)
            {
                webhook.Disable(DisabledReason.User, now);
            }

            await db.SaveChangesAsync(cancellationToken);
            await audit.NoteAsync("webhook.updated", webhook.Id, new { webhook.Url, webhook.EventTypes, enabled = webhook.DisabledAt is null }, cancellationToken);
            return WebhookView.Of(webhook, now);
        }
    }
}
