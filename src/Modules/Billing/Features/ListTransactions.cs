using System.Text;
using System.Text.Json;
using Dapper;
using VoicePlatform.Billing.Ledger;

namespace VoicePlatform.Billing.Features;

/// <summary>The tenant's transactions with their entries, newest first; filtered by kind, by what they are of, and by time.</summary>
internal static class ListTransactions
{
    public static void Map(RouteGroupBuilder billing) => billing
        .MapGet("/transactions", async (
            int? limit, string? starting_after, [Words<TransactionKind>] string? kind, string? subject_id, DateTimeOffset? from, DateTimeOffset? to,
            Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, new(limit, starting_after), kind, subject_id, from?.ToUniversalTime(), to?.ToUniversalTime()), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(ListTransactions))
        .Produces<Page<Transaction>>();

    public sealed record Query(string TenantId, PageQuery Page, string? Kind, string? SubjectId, DateTimeOffset? From, DateTimeOffset? To)
        : IRequest<Result<Page<Transaction>>>;

    public sealed record Transaction(
        string Id, long Seq, TransactionKind Kind, DateTimeOffset PostedAt, DateTimeOffset EffectiveAt, IReadOnlyList<TransactionEntry> Entries, JsonElement Metadata, string Hash);

    public sealed record TransactionEntry(
        string Id, string Account, long Amount, long? BalanceAfter, string? Component, long? Quantity, string? Unit, long? Rate, long? Per, string? RateCard);

    internal sealed class Handler(UnitOfWork unit, Past past) : IRequestHandler<Query, Result<Page<Transaction>>>
    {
        public async Task<Result<Page<Transaction>>> Handle(Query request, CancellationToken cancellationToken)
        {
            if ((request.Page.Refusal ?? Words.Refusal<TransactionKind>("kind", request.Kind)) is { } refusal)
            {
                return refusal;
            }

            if (request.To is { } to)
            {
                await past.CloseAsync(request.TenantId, to, cancellationToken);
            }

            // Only what is asked for is in the statement: each filter has an index in the order of the list.
            var where = new StringBuilder("t.tenant_id = @TenantId");
            where.Append(request.Kind is null ? "" : " AND t.kind = @Kind");
            where.Append(request.SubjectId is null ? "" : " AND t.seq IN (SELECT billing.seqs_of(@TenantId, @SubjectId))");
            where.Append(request.From is null ? "" : " AND t.seq >= billing.first_seq(@TenantId, @From)");
            where.Append(request.To is null ? "" : " AND t.seq < billing.first_seq(@TenantId, @To)");
            where.Append(request.Page.StartingAfter is null ? "" : " AND t.seq < (SELECT seq FROM billing.transactions WHERE tenant_id = @TenantId AND id = @After)");
            var rows = (await (await unit.OpenAsync(cancellationToken)).QueryAsync<Row>(new(
                $"""
                SELECT t.id, t.seq, t.kind, t.posted_at, t.effective_at, t.metadata::text AS metadata, encode(t.hash, 'hex') AS hash,
                  (SELECT jsonb_agg(jsonb_build_object('id', e.id, 'account', e.account, 'amount', e.amount, 'balance_after', e.balance_after, 'component', e.component,
                     'quantity', e.quantity, 'unit', e.unit, 'rate', e.rate, 'per', e.per, 'rate_card', e.rate_card) ORDER BY e.position)
                   FROM billing.entries e WHERE e.transaction_id = t.id)::text AS entries
                FROM billing.transactions t
                WHERE {where}
                ORDER BY t.seq DESC LIMIT @Rows
                """,
                new { request.TenantId, request.Kind, request.SubjectId, request.From, request.To, After = request.Page.StartingAfter, Rows = request.Page.Rows + 1 },
                cancellationToken: cancellationToken))).ToList();
            return Page<Transaction>.Of(
                rows.ConvertAll(r => new Transaction(
                    r.Id, r.Seq, Words.Read<TransactionKind>(r.Kind)!.Value, r.PostedAt, r.EffectiveAt, Json.Read<List<TransactionEntry>>(r.Entries), Json.Read<JsonElement>(r.Metadata), r.Hash)),
                request.Page.Rows,
                t => t.Id);
        }

        private sealed record Row
        {
            public required string Id { get; init; }
            public long Seq { get; init; }
            public required string Kind { get; init; }
            public DateTimeOffset PostedAt { get; init; }
            public DateTimeOffset EffectiveAt { get; init; }
            public required string Metadata { get; init; }
            public required string Hash { get; init; }
            public required string Entries { get; init; }
        }
    }
}
