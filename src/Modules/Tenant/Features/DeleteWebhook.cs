using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>Nothing is sent to it any more, what is on its way included.</summary>
internal static class DeleteWebhook
{
    public static void Map(RouteGroupBuilder webhooks) => webhooks
        .MapDelete("/{id}", async (string id, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(id, Etag.Wanted(http)), ct)).ToHttp(_ => TypedResults.NoContent()))
        .WithName(nameof(DeleteWebhook))
        .Produces(StatusCodes.Status204NoContent);

    public sealed record Command(string WebhookId, string IfMatch) : ICommand<Done>;

    internal sealed class Handler(TenantDb db, Caller caller, AuditLog audit, TimeProvider clock) : IRequestHandler<Command, Result<Done>>
    {
        public async Task<Result<Done>> Handle(Command command, CancellationToken cancellationToken)
        {
            if (await db.LockWebhookAsync(command.WebhookId, cancellationToken) is not { } webhook || webhook.TenantId != caller.TenantId)
            {
                return TenantErrors.WebhookNotFound;
            }

            if (Etag.Refusal(command.IfMatch, webhook.Revision) is { } changed)
            {
                return changed;
            }

            webhook.Delete(clock.GetUtcNow());
            await db.SaveChangesAsync(cancellationToken);
            await audit.NoteAsync("webhook.deleted", webhook.Id, new { webhook.Url }, cancellationToken);
            return default(Done);
        }
    }
}
