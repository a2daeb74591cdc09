using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>The tenant's keys, newest first; never their text.</summary>
internal static class ListKeys
{
    public static void Map(RouteGroupBuilder keys) => keys
        .MapGet("/", async (int? limit, string? starting_after, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, new(limit, starting_after)), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(ListKeys))
        .Produces<Page<Item>>();

    public sealed record Query(string TenantId, PageQuery Page) : IRequest<Result<Page<Item>>>;

    /// <param name="Hint">The key's last four characters.</param>
    public sealed record Item(
        string Id, string Name, string Hint, IReadOnlyList<string> Scopes, KeyMode Mode,
        DateTimeOffset CreatedAt, DateTimeOffset? ExpiresAt, DateTimeOffset? RevokedAt, DateTimeOffset? LastUsedAt);

    internal sealed class Handler(TenantDb db) : IRequestHandler<Query, Result<Page<Item>>>
    {
        public async Task<Result<Page<Item>>> Handle(Query request, CancellationToken cancellationToken)
        {
            if (request.Page.Refusal is { } refusal)
            {
                return refusal;
            }

            var after = request.Page.StartingAfter;
            var rows = await db.Keys.AsNoTracking()
                .Where(k => k.TenantId == request.TenantId && (after == null || string.Compare(k.Id, after) < 0))
                .OrderByDescending(k => k.Id)
                .Take(request.Page.Rows + 1)
                .Select(k => new Item(k.Id, k.Name, k.Hint, k.Scopes, k.Mode, k.CreatedAt, k.ExpiresAt, k.RevokedAt, k.LastUsedAt))
                .ToListAsync(cancellationToken);
            return Page<Item>.Of(rows, request.Page.Rows, k => k.Id);
        }
    }
}
