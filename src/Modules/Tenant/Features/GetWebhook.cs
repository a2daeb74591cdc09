using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

internal static class GetWebhook
{
    public static void Map(RouteGroupBuilder webhooks) => webhooks
        .MapGet("/{id}", async (string id, HttpContext http, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id), ct)).ToHttp(r => WebhookView.Answer(r, http)))
        .WithName(nameof(GetWebhook))
        .Produces<WebhookView>();

    public sealed record Query(string TenantId, string WebhookId) : IRequest<Result<WebhookView>>;

    internal sealed class Handler(TenantDb db, TimeProvider clock) : IRequestHandler<Query, Result<WebhookView>>
    {
        public async Task<Result<WebhookView>> Handle(Query request, CancellationToken cancellationToken) =>
            await db.Webhooks.AsNoTracking()
                .SingleOrDefaultAsync(w => w.Id == request.WebhookId && w.TenantId == request.TenantId && w.DeletedAt == null, cancellationToken) is { } webhook
                ? WebhookView.Of(webhook, clock.GetUtcNow())
                : TenantErrors.WebhookNotFound;
    }
}
