using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>The tenant's keys, newest first; never their text.</summary>
internal static class ListKeys
{
    public static void Map(RouteGroupBuilder keys) => keys
        .MapGet("/", async (int? limit, string? starting_after, string? user_id, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, new(limit, starting_after), user_id), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(ListKeys))
        .Produces<Page<KeyView>>();

    public sealed record Query(string TenantId, PageQuery Page, string? UserId) : IRequest<Result<Page<KeyView>>>;

    internal sealed class Handler(TenantDb db) : IRequestHandler<Query, Result<Page<KeyView>>>
    {
        public async Task<Result<Page<KeyView>>> Handle(Query request, CancellationToken cancellationToken)
        {
            if (request.Page.Refusal is { } refusal)
            {
                return refusal;
            }

            var after = request.Page.StartingAfter;
            var rows = await db.Keys.AsNoTracking()
                .Where(k => k.TenantId == request.TenantId && (request.UserId == null || k.UserId == request.UserId) && (after == null || string.Compare(k.Id, after) < 0))
                .OrderByDescending(k => k.Id)
                .Take(request.Page.Rows + 1)
                .ToListAsync(cancellationToken);
            return Page<KeyView>.Of(rows.ConvertAll(KeyView.Of), request.Page.Rows, k => k.Id);
        }
    }
}
