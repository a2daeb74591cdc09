using Dapper;

namespace VoicePlatform.Tenants.Features;

/// <summary>
/// The tenant's events in the order of their numbers, from a cursor on: a reader who goes on never misses one. A key that may only read money is told
/// of balance.* and billing.*.
/// </summary>
internal static class ListEvents
{
    private const int MaxWaitingRows = 100;

    public static void Map(RouteGroupBuilder events) => events
        .MapGet("/", async (long? after, int? limit, string? type, string? subject_id, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, after ?? 0, limit ?? PageQuery.DefaultLimit, type, subject_id, caller.IsFinanceOnly), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(ListEvents))
        .Produces<Response>();

    /// <param name="Type">Only this type, or all of a kind ("call.*").</param>
    /// <param name="OfMoneyOnly">Only of the kinds balance and billing, whatever the type says.</param>
    public sealed record Query(string TenantId, long After, int Limit, string? Type, string? SubjectId, bool OfMoneyOnly) : IRequest<Result<Response>>;

    /// <param name="NextCursor">Goes into ?after= for what comes next; stays the same while nothing does.</param>
    public sealed record Response(IReadOnlyList<EventView> Data, bool HasMore, long NextCursor);

    internal sealed class Handler(UnitOfWork unit) : IRequestHandler<Query, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Query request, CancellationToken cancellationToken)
        {
            if (request.Limit is < 1 or > MaxWaitingRows)
            {
                return Error.Field("limit", "out_of_range", $"'limit' must be from 1 to {MaxWaitingRows}.");
            }

            if (request is { Type.Length: > 100 } or { SubjectId.Length: > 64 })
            {
                return Error.Field(request.Type is { Length: > 100 } ? "type" : "subject_id", "too_long", "There is no such event.");
            }

            var bySubject = request.SubjectId is null ? "" : "AND subject_id = @SubjectId";
            var byType = request.Type is null ? "" : request.Type.EndsWith(".*", StringComparison.Ordinal) ? "AND split_part(type, '.', 1) || '.*' = @Type" : "AND type = @Type";
            var ofMoney = request.OfMoneyOnly ? "AND split_part(type, '.', 1) IN ('balance', 'billing')" : "";
            var rows = (await (await unit.OpenAsync(cancellationToken)).QueryAsync<EventView.Row>(new(
                $"""
                SELECT {EventView.Columns} FROM tenant.events
                WHERE tenant_id = @TenantId AND position > @After {bySubject} {byType} {ofMoney} ORDER BY position LIMIT @Limit + 1
                """,
                request,
                cancellationToken: cancellationToken))).ToList();
            var page = rows.Take(request.Limit).Select(r => r.View).ToList();
            return new Response(page, rows.Count > request.Limit, page.Count > 0 ? page[^1].Position!.Value : request.After);
        }
    }
}
