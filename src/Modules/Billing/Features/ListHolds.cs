using Dapper;

namespace VoicePlatform.Billing.Features;

/// <summary>Credits that are or were reserved, newest first.</summary>
internal static class ListHolds
{
    public enum HoldStatus { Active, Settled, Released, Expired }

    public static void Map(RouteGroupBuilder billing) => billing
        .MapGet("/holds", async (int? limit, string? starting_after, [Words<HoldStatus>] string? status, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, new(limit, starting_after), status), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(ListHolds))
        .Produces<Page<Hold>>();

    public sealed record Query(string TenantId, PageQuery Page, string? Status) : IRequest<Result<Page<Hold>>>;

    public sealed record Hold
    {
        public required string Id { get; init; }
        public required string SubjectId { get; init; }
        public long Amount { get; init; }
        public required string RateCard { get; init; }
        public required string Status { get; init; }
        public DateTimeOffset PlacedAt { get; init; }
        public DateTimeOffset? EndedAt { get; init; }
        public string? TransactionId { get; init; }
    }

    internal sealed class Handler(UnitOfWork unit) : IRequestHandler<Query, Result<Page<Hold>>>
    {
        public async Task<Result<Page<Hold>>> Handle(Query request, CancellationToken cancellationToken)
        {
            if ((request.Page.Refusal ?? Words.Refusal<HoldStatus>("status", request.Status)) is { } refusal)
            {
                return refusal;
            }

            var rows = (await (await unit.OpenAsync(cancellationToken)).QueryAsync<Hold>(new(
                """
                SELECT id, subject_id, amount, rate_card, status, placed_at, ended_at, transaction_id
                FROM billing.holds
                WHERE tenant_id = @TenantId AND (@Status IS NULL OR status = @Status) AND (@After IS NULL OR id < @After)
                ORDER BY id DESC LIMIT @Rows
                """,
                new { request.TenantId, request.Status, After = request.Page.StartingAfter, Rows = request.Page.Rows + 1 },
                cancellationToken: cancellationToken))).ToList();
            return Page<Hold>.Of(rows, request.Page.Rows, h => h.Id);
        }
    }
}
