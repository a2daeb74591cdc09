using VoicePlatform.Trunks.Data;

namespace VoicePlatform.Trunks.Features;

/// <summary>The tenant's trunks, newest first.</summary>
internal static class ListTrunks
{
    public static void Map(RouteGroupBuilder trunks) => trunks
        .MapGet("/", async (int? limit, string? starting_after, TrunkDirection? direction, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, new(limit, starting_after), direction), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(ListTrunks))
        .Produces<Page<TrunkView>>();

    public sealed record Query(string TenantId, PageQuery Page, TrunkDirection? Direction) : IRequest<Result<Page<TrunkView>>>;

    internal sealed class Handler(TrunkDb db) : IRequestHandler<Query, Result<Page<TrunkView>>>
    {
        public async Task<Result<Page<TrunkView>>> Handle(Query request, CancellationToken cancellationToken)
        {
            if (request.Page.Refusal is { } refusal)
            {
                return refusal;
            }

            var after = request.Page.StartingAfter;
            var rows = await db.Trunks.AsNoTracking()
                .Where(t => t.TenantId == request.TenantId && t.DeletedAt == null && (request.Direction == null || t.Direction == request.Direction)
                    && (after == null || string.Compare(t.Id, after) < 0))
                .OrderByDescending(t => t.Id)
                .Take(request.Page.Rows + 1)
                .ToListAsync(cancellationToken);
            return Page<TrunkView>.Of(rows.ConvertAll(TrunkView.ViewOf), request.Page.Rows, t => t.Id);
        }
    }
}
