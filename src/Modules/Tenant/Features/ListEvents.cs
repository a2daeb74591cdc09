using System.Text.Json;
using Dapper;

namespace VoicePlatform.Tenants.Features;

/// <summary>The tenant's events in the order of their numbers, from a cursor on: a reader who goes on never misses one.</summary>
internal static class ListEvents
{
    private const int MaxWaitingRows = 100;

    public static void Map(RouteGroupBuilder events) => events
        .MapGet("/", async (long? after, int? limit, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, after ?? 0, limit ?? MaxWaitingRows), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(ListEvents))
        .Produces<Response>();

    public sealed record Query(string TenantId, long After, int Limit) : IRequest<Result<Response>>;

    /// <param name="NextCursor">Goes into ?after= for what comes next; stays the same while nothing does.</param>
    public sealed record Response(IReadOnlyList<Event> Data, bool HasMore, long NextCursor);

    public sealed record Event(string Id, string Type, DateTimeOffset CreatedAt, int Sequence, string SubjectId, JsonElement Data);

    internal sealed class Handler(UnitOfWork unit) : IRequestHandler<Query, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Query request, CancellationToken cancellationToken)
        {
            if (request.Limit is < 1 or > MaxWaitingRows)
            {
                return Error.Field("limit", "out_of_range", $"'limit' must be from 1 to {MaxWaitingRows}.");
            }

            var rows = (await (await unit.OpenAsync(cancellationToken)).QueryAsync<Row>(new(
                """
                SELECT id, type, created_at, sequence, subject_id, data, position FROM tenant.events
                WHERE tenant_id = @TenantId AND position > @After ORDER BY position LIMIT @Limit + 1
                """,
                request,
                cancellationToken: cancellationToken))).ToList();
            var page = rows.Take(request.Limit).ToList();
            return new Response(
                page.ConvertAll(r => new Event(r.Id, r.Type, r.CreatedAt, r.Sequence, r.SubjectId, Json.Read<JsonElement>(r.Data))),
                rows.Count > request.Limit,
                page.Count > 0 ? page[^1].Position : request.After);
        }

        private sealed record Row
        {
            public required string Id { get; init; }
            public required string Type { get; init; }
            public DateTimeOffset CreatedAt { get; init; }
            public int Sequence { get; init; }
            public required string SubjectId { get; init; }
            public required string Data { get; init; }
            public long Position { get; init; }
        }
    }
}
