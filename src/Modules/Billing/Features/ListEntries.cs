using Dapper;

namespace VoicePlatform.Billing.Features;

/// <summary>The tenant's entries, newest first; filtered by transaction, account and time.</summary>
internal static class ListEntries
{
    public static void Map(RouteGroupBuilder billing) => billing
        .MapGet("/entries", async (
            int? limit, string? starting_after, string? transaction_id, string? account, DateTimeOffset? from, DateTimeOffset? to,
            Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, new(limit, starting_after), transaction_id, account, from, to), ct))
            .ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(ListEntries))
        .Produces<Page<LedgerEntry>>();

    public sealed record Query(string TenantId, PageQuery Page, string? TransactionId, string? Account, DateTimeOffset? From, DateTimeOffset? To)
        : IRequest<Result<Page<LedgerEntry>>>;

    public sealed record LedgerEntry
    {
        public required string Id { get; init; }
        public required string TransactionId { get; init; }
        public required string Account { get; init; }
        public long Amount { get; init; }
        public long? BalanceAfter { get; init; }
        public DateTimeOffset PostedAt { get; init; }
        public string? Component { get; init; }
        public long? Quantity { get; init; }
        public string? Unit { get; init; }
        public long? Rate { get; init; }
        public long? Per { get; init; }
        public string? RateCard { get; init; }
    }

    internal sealed class Handler(UnitOfWork unit) : IRequestHandler<Query, Result<Page<LedgerEntry>>>
    {
        public async Task<Result<Page<LedgerEntry>>> Handle(Query request, CancellationToken cancellationToken)
        {
            if (request.Page.Refusal is { } refusal)
            {
                return refusal;
            }

            var rows = (await (await unit.OpenAsync(cancellationToken)).QueryAsync<LedgerEntry>(new(
                """
                SELECT e.id, e.transaction_id, e.account, e.amount, e.balance_after, e.posted_at,
                  e.component, e.quantity, e.unit, e.rate, e.per, e.rate_card
                FROM billing.entries e
                WHERE e.tenant_id = @TenantId
                  AND (@TransactionId IS NULL OR e.transaction_id = @TransactionId) AND (@Account IS NULL OR e.account = @Account)
                  AND (@From::timestamptz IS NULL OR e.posted_at >= @From) AND (@To::timestamptz IS NULL OR e.posted_at < @To)
                  AND (@After IS NULL OR (e.seq, e.position) < (SELECT seq, position FROM billing.entries WHERE tenant_id = @TenantId AND id = @After))
                ORDER BY e.seq DESC, e.position DESC LIMIT @Rows
                """,
                new
                {
                    request.TenantId,
                    request.TransactionId,
                    request.Account,
                    request.From,
                    request.To,
                    After = request.Page.StartingAfter,
                    Rows = request.Page.Rows + 1,
                },
                cancellationToken: cancellationToken))).ToList();
            return Page<LedgerEntry>.Of(rows, request.Page.Rows, e => e.Id);
        }
    }
}
