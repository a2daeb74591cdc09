using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Features;

/// <summary>The tenant's conversations, newest first.</summary>
internal static class ListSessions
{
    public static void Map(RouteGroupBuilder sessions) => sessions
        .MapGet("/", async (int? limit, string? starting_after, string? assistant_id, SessionStatus? status, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, new(limit, starting_after), assistant_id, status), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(ListSessions))
        .Produces<Page<SessionView>>();

    public sealed record Query(string TenantId, PageQuery Page, string? AssistantId, SessionStatus? Status) : IRequest<Result<Page<SessionView>>>;

    internal sealed class Handler(SessionDb db) : IRequestHandler<Query, Result<Page<SessionView>>>
    {
        public async Task<Result<Page<SessionView>>> Handle(Query request, CancellationToken cancellationToken)
        {
            if (request.Page.Refusal is { } refusal)
            {
                return refusal;
            }

            var after = request.Page.StartingAfter;
            var rows = await db.Sessions.AsNoTracking()
                .Where(s => s.TenantId == request.TenantId
                    && (request.AssistantId == null || s.AssistantId == request.AssistantId)
                    && (request.Status == null || s.Status == request.Status)
                    && (after == null || string.Compare(s.Id, after) < 0))
                .OrderByDescending(s => s.Id)
                .Take(request.Page.Rows + 1)
                .ToListAsync(cancellationToken);
            return Page<SessionView>.Of(rows.ConvertAll(SessionView.Of), request.Page.Rows, s => s.Id);
        }
    }
}
