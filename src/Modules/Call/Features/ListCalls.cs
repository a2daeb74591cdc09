using VoicePlatform.Calls.Data;
using VoicePlatform.Calls.Recording;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Calls.Features;

/// <summary>The tenant's calls, newest first.</summary>
internal static class ListCalls
{
    public static void Map(RouteGroupBuilder calls) => calls
        .MapGet("/", async (
            int? limit, string? starting_after, string? status, string? direction, string? assistant_id, DateTimeOffset? from, DateTimeOffset? to,
            Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, new(limit, starting_after), status, direction, assistant_id, from, to), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(ListCalls))
        .Produces<Page<CallView>>();

    public sealed record Query(
        string TenantId, PageQuery Page, string? Status, string? Direction, string? AssistantId, DateTimeOffset? From, DateTimeOffset? To) : IRequest<Result<Page<CallView>>>;

    internal sealed class Handler(CallDb db, Recordings recordings) : IRequestHandler<Query, Result<Page<CallView>>>
    {
        public async Task<Result<Page<CallView>>> Handle(Query request, CancellationToken cancellationToken)
        {
            if ((request.Page.Refusal ?? Refusal<CallStatus>("status", request.Status) ?? Refusal<CallDirection>("direction", request.Direction)) is { } refusal)
            {
                return refusal;
            }

            CallStatus? status = request.Status is null ? null : CallDb.Parse<CallStatus>(request.Status);
            CallDirection? direction = request.Direction is null ? null : CallDb.Parse<CallDirection>(request.Direction);
            var (from, to) = (request.From?.ToUniversalTime(), request.To?.ToUniversalTime());
            var after = request.Page.StartingAfter;
            var rows = await db.Calls.AsNoTracking()
                .Where(c => c.TenantId == request.TenantId
                    && (status == null || c.Status == status) && (direction == null || c.Direction == direction)
                    && (request.AssistantId == null || c.AssistantId == request.AssistantId)
                    && (from == null || c.CreatedAt >= from) && (to == null || c.CreatedAt < to)
                    && (after == null || string.Compare(c.Id, after) < 0))
                .OrderByDescending(c => c.Id)
                .Take(request.Page.Rows + 1)
                .ToListAsync(cancellationToken);
            return Page<CallView>.Of(rows.ConvertAll(c => CallView.Of(c, recordings.LinkOf(c))), request.Page.Rows, c => c.Id);
        }

        private static Error? Refusal<T>(string field, string? word)
            where T : struct, Enum
        {
            var words = Enum.GetValues<T>().Select(CallDb.Text).ToList();
            return word is null || words.Contains(word) ? null : Error.Field(field, "unknown", $"'{field}' must be one of {string.Join(", ", words)}.");
        }
    }
}
