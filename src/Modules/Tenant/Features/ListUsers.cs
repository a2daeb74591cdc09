using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>The tenant's people, newest first.</summary>
internal static class ListUsers
{
    public static void Map(RouteGroupBuilder users) => users
        .MapGet("/", async (int? limit, string? starting_after, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, new(limit, starting_after)), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(ListUsers))
        .Produces<Page<UserView>>();

    public sealed record Query(string TenantId, PageQuery Page) : IRequest<Result<Page<UserView>>>;

    internal sealed class Handler(TenantDb db) : IRequestHandler<Query, Result<Page<UserView>>>
    {
        public async Task<Result<Page<UserView>>> Handle(Query request, CancellationToken cancellationToken)
        {
            if (request.Page.Refusal is { } refusal)
            {
                return refusal;
            }

            var after = request.Page.StartingAfter;
            var rows = await db.Users.AsNoTracking()
                .Where(u => u.TenantId == request.TenantId && u.DeletedAt == null && (after == null || string.Compare(u.Id, after) < 0))
                .OrderByDescending(u => u.Id)
                .Take(request.Page.Rows + 1)
                .ToListAsync(cancellationToken);
            return Page<UserView>.Of(rows.ConvertAll(UserView.Of), request.Page.Rows, u => u.Id);
        }
    }
}
