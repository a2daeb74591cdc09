using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>A new secret (or key pair). The old one signs beside it for the overlap, so that receivers can change over without losing anything.</summary>
internal static class RotateWebhookSecret
{
    private const int DefaultOverlapHours = 24;

    public static void Map(RouteGroupBuilder webhooks) => webhooks
        .MapPost("/{id}/rotate-secret", async (string id, Rotation? rotation, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(id, rotation?.OverlapHours ?? DefaultOverlapHours), ct)).ToHttp(r => WebhookView.Answer(r, http)))
        .WithName(nameof(RotateWebhookSecret))
        .Produces<WebhookView>();

    /// <param name="OverlapHours">0 to 168; 24 when left out.</param>
    public sealed record Rotation(int? OverlapHours = null);

    public sealed record Command(string WebhookId, int OverlapHours) : ICommand<WebhookView>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator() => RuleFor(c => c.OverlapHours).InclusiveBetween(0, Webhook.MaxOverlapHours);
    }

    internal sealed class Handler(TenantDb db, Caller caller, SecretBox box, AuditLog audit, TimeProvider clock) : IRequestHandler<Command, Result<WebhookView>>
    {
        public async Task<Result<WebhookView>> Handle(Command command, CancellationToken cancellationToken)
        {
            if (await db.LockWebhookAsync(command.WebhookId, cancellationToken) is not { } webhook || webhook.TenantId != caller.TenantId)
            {
                return TenantErrors.WebhookNotFound;
            }

            var now = clock.GetUtcNow();
            var secret = webhook.Rotate(TimeSpan.FromHours(command.OverlapHours), box, now);
            await db.SaveChangesAsync(cancellationToken);
            await audit.NoteAsync("webhook.secret_rotated", webhook.Id, new { command.OverlapHours }, cancellationToken);
            return WebhookView.Of(webhook, now, secret);
        }
    }
}
