using VoicePlatform.Trunks.Data;

namespace VoicePlatform.Trunks.Features;

/// <summary>The numbers that are routed to assistants, newest first.</summary>
internal static class ListNumbers
{
    public static void Map(RouteGroupBuilder numbers) => numbers
        .MapGet("/", async (int? limit, string? starting_after, string? trunk_id, string? assistant_id, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, new(limit, starting_after), trunk_id, assistant_id), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(ListNumbers))
        .Produces<Page<NumberView>>();

    public sealed record Query(string TenantId, PageQuery Page, string? TrunkId, string? AssistantId) : IRequest<Result<Page<NumberView>>>;

    internal sealed class Handler(TrunkDb db) : IRequestHandler<Query, Result<Page<NumberView>>>
    {
        public async Task<Result<Page<NumberView>>> Handle(Query request, CancellationToken cancellationToken)
        {
            if (request.Page.Refusal is { } refusal)
            {
                return refusal;
            }

            var after = request.Page.StartingAfter;
            var rows = await db.Numbers.AsNoTracking()
                .Where(n => n.TenantId == request.TenantId && n.DeletedAt == null
                    && (request.TrunkId == null || n.TrunkId == request.TrunkId) && (request.AssistantId == null || n.AssistantId == request.AssistantId)
                    && (after == null || string.Compare(n.Id, after) < 0))
                .OrderByDescending(n => n.Id)
                .Take(request.Page.Rows + 1)
                .ToListAsync(cancellationToken);
            return Page<NumberView>.Of(rows.ConvertAll(NumberView.Of), request.Page.Rows, n => n.Id);
        }
    }
}
