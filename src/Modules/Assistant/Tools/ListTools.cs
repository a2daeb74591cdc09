using VoicePlatform.Assistants.Data;

namespace VoicePlatform.Assistants.Tools;

/// <summary>The tenant's tools, newest first; header values are masked.</summary>
internal static class ListTools
{
    public static void Map(RouteGroupBuilder tools) => tools
        .MapGet("/", async (int? limit, string? starting_after, string? type, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, new(limit, starting_after), type), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(ListTools))
        .Produces<Page<ToolView>>();

    public sealed record Query(string TenantId, PageQuery Page, string? Type) : IRequest<Result<Page<ToolView>>>;

    internal sealed class Handler(AssistantDb db, SecretBox box) : IRequestHandler<Query, Result<Page<ToolView>>>
    {
        public async Task<Result<Page<ToolView>>> Handle(Query request, CancellationToken cancellationToken)
        {
            if (request.Page.Refusal is { } refusal)
            {
                return refusal;
            }

            var after = request.Page.StartingAfter;
            var rows = await db.Tools.AsNoTracking()
                .Where(t => t.TenantId == request.TenantId && t.DeletedAt == null && (request.Type == null || t.Type == request.Type) && (after == null || string.Compare(t.Id, after) < 0))
                .OrderByDescending(t => t.Id)
                .Take(request.Page.Rows + 1)
                .ToListAsync(cancellationToken);
            return Page<ToolView>.Of(rows.ConvertAll(t => ToolView.Of(t, box)), request.Page.Rows, t => t.Id);
        }
    }
}
