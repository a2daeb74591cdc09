using System.Text.Json.Nodes;
using VoicePlatform.Trunks.Data;

namespace VoicePlatform.Trunks.Features;

internal static class ListTrunks
{
    public static void Map(RouteGroupBuilder trunks) => trunks
        .MapGet("/", async (int? limit, string? starting_after, TrunkDirection? direction, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, new(limit, starting_after), direction), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(ListTrunks))
        .Produces<Page<TrunkView>>();

    public sealed record Query(string TenantId, PageQuery Page, TrunkDirection? Direction) : IRequest<Result<Page<JsonObject>>>;

    internal sealed class Handler(TrunkDb db) : IRequestHandler<Query, Result<Page<JsonObject>>>
    {
        public async Task<Result<Page<JsonObject>>> Handle(Query request, CancellationToken cancellationToken)
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
            return Page<JsonObject>.Of(rows.ConvertAll(t => TrunkView.Of(t).ToJson()), request.Page.Rows, t => t["id"]!.GetValue<string>());
        }
    }
}
