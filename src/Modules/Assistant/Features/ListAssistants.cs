using VoicePlatform.Assistants.Data;

namespace VoicePlatform.Assistants.Features;

/// <summary>The tenant's assistants, newest first.</summary>
internal static class ListAssistants
{
    public static void Map(RouteGroupBuilder assistants) => assistants
        .MapGet("/", async (int? limit, string? starting_after, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, new(limit, starting_after)), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(ListAssistants))
        .Produces<Page<Item>>();

    public sealed record Query(string TenantId, PageQuery Page) : IRequest<Result<Page<Item>>>;

    public sealed record Item(string Id, string Name, int Version, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt);

    internal sealed class Handler(AssistantDb db) : IRequestHandler<Query, Result<Page<Item>>>
    {
        public async Task<Result<Page<Item>>> Handle(Query request, CancellationToken cancellationToken)
        {
            if (request.Page.Refusal is { } refusal)
            {
                return refusal;
            }

            var after = request.Page.StartingAfter;
            var rows = await db.Assistants.AsNoTracking()
                .Where(a => a.TenantId == request.TenantId && a.DeletedAt == null && (after == null || string.Compare(a.Id, after) < 0))
                .OrderByDescending(a => a.Id)
                .Take(request.Page.Rows + 1)
                .Select(a => new Item(a.Id, a.Name, a.Version, a.CreatedAt, a.UpdatedAt))
                .ToListAsync(cancellationToken);
            return Page<Item>.Of(rows, request.Page.Rows, a => a.Id);
        }
    }
}
