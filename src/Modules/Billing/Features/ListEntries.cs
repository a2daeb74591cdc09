using System.Text;
using Dapper;
using VoicePlatform.Billing.Ledger;

namespace VoicePlatform.Billing.Features;

/// <summary>The tenant's entries, newest first; filtered by transaction, account and time.</summary>
internal static class ListEntries
{
    public static void Map(RouteGroupBuilder billing) => billing
        .MapGet("/entries", async (
            int? limit, string? starting_after, string? transaction_id, [AccountWords] string? account, DateTimeOffset? from, DateTimeOffset? to,
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

    internal sealed class Handler(UnitOfWork unit, Past past) : IRequestHandler<Query, Result<Page<LedgerEntry>>>
    {
        public async Task<Result<Page<LedgerEntry>>> Handle(Query request, CancellationToken cancellationToken)
        {
            if ((request.Page.Refusal ?? Accounts.Refusal("account", request.Account)) is { } refusal)
            {
                return refusal;
            }

            if (request.To is { } to)
            {
                await past.CloseAsync(request.TenantId, to, cancellationToken);
            }

            // Numbers and times rise together, so either order is the same: each is one index's. Only what is asked for is in the statement.
            var order = request.Account is null ? ["seq", "position"] : new[] { "posted_at", "seq", "position" };
            var key = string.Join(", ", order);
            var where = new StringBuilder("tenant_id = @TenantId");
            where.Append(request.TransactionId is null ? "" : " AND transaction_id = @TransactionId");
            where.Append(request.Account is null ? "" : " AND account = @Account");
            where.Append(request switch { { From: null } => "", { Account: null } => " AND seq >= billing.first_seq(@TenantId, @From)", _ => " AND posted_at >= @From" });
            where.Append(request switch { { To: null } => "", { Account: null } => " AND seq < billing.first_seq(@TenantId, @To)", _ => " AND posted_at < @To" });
            where.Append(request.Page.StartingAfter is null ? "" : $" AND ({key}) < (SELECT {key} FROM billing.entries WHERE tenant_id = @TenantId AND id = @After)");
            var rows = (await (await unit.OpenAsync(cancellationToken)).QueryAsync<LedgerEntry>(new(
                $"""
                SELECT id, transaction_id, account, amount, balance_after, posted_at, component, quantity, unit, rate, per, rate_card
                FROM billing.entries WHERE {where} ORDER BY {string.Join(", ", order.Select(column => column + " DESC"))} LIMIT @Rows
                """,
                new
                {
                    request.TenantId,
                    request.TransactionId,
                    request.Account,
                    From = request.From?.ToUniversalTime(),
                    To = request.To?.ToUniversalTime(),
                    After = request.Page.StartingAfter,
                    Rows = request.Page.Rows + 1,
                },
                cancellationToken: cancellationToken))).ToList();
            return Page<LedgerEntry>.Of(rows, request.Page.Rows, e => e.Id);
        }
    }
}
