using VoicePlatform.Tenants.Data;
using VoicePlatform.Tenants.Events;

namespace VoicePlatform.Tenants.Features;

/// <summary>Registers a URL for the tenant's events. The signing secret is in this answer and nowhere else.</summary>
internal static class CreateWebhook
{
    public static void Map(RouteGroupBuilder webhooks) => webhooks
        .MapPost("/", async (Command command, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(command, ct)).ToHttp(r => WebhookView.Answer(r, http, StatusCodes.Status201Created)))
        .WithName(nameof(CreateWebhook))
        .Produces<WebhookView>(StatusCodes.Status201Created);

    /// <param name="EventTypes">Which events to send; none is all.</param>
    public sealed record Command(string? Url, IReadOnlyList<string>? EventTypes = null, string? Description = null, Signing Signing = Signing.Hmac) : ICommand<WebhookView>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator(OutboundGuard guard)
        {
            RuleFor(c => c.Url).NotEmpty().IsReceiver(guard);
            this.AreEventFilters(c => c.EventTypes);
            RuleFor(c => c.Description).MaximumLength(Webhook.DescriptionMaxLength);
        }
    }

    internal sealed class Handler(TenantDb db, Caller caller, SecretBox box, AuditLog audit, TimeProvider clock) : IRequestHandler<Command, Result<WebhookView>>
    {
        public async Task<Result<WebhookView>> Handle(Command command, CancellationToken cancellationToken)
        {
            // Locked, so that two at the same moment do not both take the last place.
            await db.Database.ExecuteSqlAsync($"SELECT pg_advisory_xact_lock(hashtextextended('tenant.webhooks:' || {caller.TenantId}, 0))", cancellationToken);
            if (await db.Webhooks.CountAsync(w => w.TenantId == caller.TenantId && w.DeletedAt == null, cancellationToken) >= Webhook.MostPerTenant)
            {
                return TenantErrors.TooManyWebhooks;
            }

            var now = clock.GetUtcNow();
            var (webhook, secret) = Webhook.Register(caller.TenantId, command.Url!, command.Description ?? "", command.EventTypes ?? [], command.Signing, box, now);
            db.Webhooks.Add(webhook);
            await db.SaveChangesAsync(cancellationToken);
            await audit.NoteAsync("webhook.created", webhook.Id, new { webhook.Url, webhook.EventTypes, webhook.Signing }, cancellationToken);
            return WebhookView.Of(webhook, now, secret);
        }
    }
}
