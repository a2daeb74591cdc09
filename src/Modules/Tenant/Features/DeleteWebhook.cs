using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>Nothing is sent to it any more.</summary>
internal static class DeleteWebhook
{
    public static void Map(RouteGroupBuilder webhooks) => webhooks
        .MapDelete("/{id}", async (string id, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(id), ct)).ToHttp(_ => TypedResults.NoContent()))
        .WithName(nameof(DeleteWebhook))
        .Produces(StatusCodes.Status204NoContent);

    public sealed record Command(string WebhookId) : ICommand<Done>;

    internal sealed class Handler(TenantDb db, Caller caller, TimeProvider clock) : IRequestHandler<Command, Result<Done>>
    {
        public async Task<Result<Done>> Handle(Command command, CancellationToken cancellationToken)
        {
            var webhook = await db.Webhooks.SingleOrDefaultAsync(
                w => w.Id == command.WebhookId && w.TenantId == caller.TenantId && w.DeletedAt == null, cancellationToken);
            if (webhook is null)
            {
                return TenantErrors.WebhookNotFound;
            }

            webhook.Delete(clock.GetUtcNow());
            await db.SaveChangesAsync(cancellationToken);
            return default(Done);
        }
    }
}
