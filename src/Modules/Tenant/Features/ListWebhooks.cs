using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>The tenant's webhooks, newest first; never their secrets.</summary>
internal static class ListWebhooks
{
    public static void Map(RouteGroupBuilder webhooks) => webhooks
        .MapGet("/", async (int? limit, string? starting_after, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, new(limit, starting_after)), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(ListWebhooks))
        .Produces<Page<WebhookView>>();

    public sealed record Query(string TenantId, PageQuery Page) : IRequest<Result<Page<WebhookView>>>;

    internal sealed class Handler(TenantDb db, TimeProvider clock) : IRequestHandler<Query, Result<Page<WebhookView>>>
    {
        public async Task<Result<Page<WebhookView>>> Handle(Query request, CancellationToken cancellationToken)
        {
            if (request.Page.Refusal is { } refusal)
            {
                return refusal;
            }

            var after = request.Page.StartingAfter;
            var rows = await db.Webhooks.AsNoTracking()
                .Where(w => w.TenantId == request.TenantId && w.DeletedAt == null && (after == null || string.Compare(w.Id, after) < 0))
                .OrderByDescending(w => w.Id)
                .Take(request.Page.Rows + 1)
                .ToListAsync(cancellationToken);
            var now = clock.GetUtcNow();
            return Page<WebhookView>.Of(rows.ConvertAll(w => WebhookView.Of(w, now)), request.Page.Rows, w => w.Id);
        }
    }
}
