using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>All tenants of the installation, for its operator.</summary>
internal static class ListTenants
{
    public static void Map(RouteGroupBuilder tenants) => tenants
        .MapGet("/", async (int? limit, string? starting_after, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(new(limit, starting_after)), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(ListTenants))
        .Produces<Page<TenantView>>();

    public sealed record Query(PageQuery Page) : IRequest<Result<Page<TenantView>>>;

    internal sealed class Handler(TenantDb db) : IRequestHandler<Query, Result<Page<TenantView>>>
    {
        public async Task<Result<Page<TenantView>>> Handle(Query request, CancellationToken cancellationToken)
        {
            if (request.Page.Refusal is { } refusal)
            {
                return refusal;
            }

            var after = request.Page.StartingAfter;
            var rows = await db.Tenants.AsNoTracking()
                .Where(t => after == null || string.Compare(t.Id, after) < 0)
                .OrderByDescending(t => t.Id)
                .Take(request.Page.Rows + 1)
                .ToListAsync(cancellationToken);
            return Page<TenantView>.Of(rows.ConvertAll(TenantView.Of), request.Page.Rows, t => t.Id);
        }
    }
}
