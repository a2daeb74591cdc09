using System.Globalization;
using System.Text;
using Dapper;
using VoicePlatform.Billing.Ledger;

namespace VoicePlatform.Billing.Features;

/// <summary>
/// The tenant's entries as CSV, oldest first. The amounts of its own two accounts, available and held, add up to its balance; with ?accounts=all
/// the platform's side is there too, with what was used at which rate, and all amounts add up to zero.
/// </summary>
internal static class ExportEntries
{
    private const string Header = "posted_at,effective_at,seq,transaction_id,kind,subject_id,entry_id,account,amount,balance_after,component,quantity,unit,rate,per,rate_card\r\n";

    /// <summary>Transactions that are read at once; no connection is held while the client takes them.</summary>
    private const int AtOnce = 500;

    public static void Map(RouteGroupBuilder billing) => billing
        .MapGet("/export.csv", async (DateTimeOffset? from, DateTimeOffset? to, string? accounts, HttpContext http, Caller caller, IMediator mediator, CancellationToken ct) =>
        {
            var query = new Query(caller.TenantId, from?.ToUniversalTime(), to?.ToUniversalTime(), accounts, 0);
            var first = await mediator.Send(query, ct);
            return first.ToHttp(part => new Csv(part, after => mediator.Send(query with { After = after }, http.RequestAborted)));
        })
        .WithName(nameof(ExportEntries))
        .Produces<string>(StatusCodes.Status200OK, "text/csv");

    /// <param name="After">The number of the last transaction that is written.</param>
    public sealed record Query(string TenantId, DateTimeOffset? From, DateTimeOffset? To, string? Accounts, long After) : IRequest<Result<Part>>;

    /// <param name="Last">The number of the last transaction in it; null: there is no more.</param>
    public sealed record Part(string Rows, long? Last);

    internal sealed class Handler(UnitOfWork unit, Past past) : IRequestHandler<Query, Result<Part>>
    {
        public async Task<Result<Part>> Handle(Query request, CancellationToken cancellationToken)
        {
            if (request.Accounts is not (null or "own" or "all"))
            {
                return Error.Field("accounts", "unknown", "'accounts' must be own or all.");
            }

            if (request.From >= request.To)
            {
                return Error.Field("from", "out_of_range", "'from' must be before 'to'.");
            }

            if (request is { After: 0, To: { } to })
            {
                await past.CloseAsync(request.TenantId, to, cancellationToken);
            }

            // Nothing is ever written before what is written: whole transactions, by their number, are one consistent book however long it takes.
            var rows = await (await unit.OpenAsync(cancellationToken)).QueryAsync<Row>(new(
                $"""
                SELECT t.posted_at, t.effective_at, t.seq, t.id AS transaction_id, t.kind, t.metadata->>'subject_id' AS subject_id, e.id AS entry_id, e.account, e.amount, e.balance_after,
                  e.component, e.quantity, e.unit, e.rate, e.per, e.rate_card
                FROM (
                  SELECT * FROM billing.transactions
                  WHERE tenant_id = @TenantId AND seq > @After
                    {(request.From is null ? "" : "AND seq >= billing.first_seq(@TenantId, @From)")} {(request.To is null ? "" : "AND seq < billing.first_seq(@TenantId, @To)")}
                  ORDER BY seq LIMIT @AtOnce) t
                JOIN billing.entries e ON e.transaction_id = t.id
                ORDER BY t.seq, e.position
                """,
                new { request.TenantId, request.After, request.From, request.To, AtOnce }, cancellationToken: cancellationToken));

            var csv = new StringBuilder();
            long? last = null;
            foreach (var r in rows)
            {
                last = r.Seq;
                if (request.Accounts is "all" || r.Account is "available" or "held")
                {
                    csv.Append(CultureInfo.InvariantCulture, $"{Stamp(r.PostedAt)},{Stamp(r.EffectiveAt)},{r.Seq},{r.TransactionId},{r.Kind},{r.SubjectId},{r.EntryId},{r.Account},{r.Amount},{r.BalanceAfter},")
                        .Append(CultureInfo.InvariantCulture, $"{r.Component},{r.Quantity},{r.Unit},{r.Rate},{r.Per},{r.RateCard}\r\n");
                }
            }

            return new Part(csv.ToString(), last);
        }

        private static string Stamp(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture);

        private sealed record Row
        {
            public DateTimeOffset PostedAt { get; init; }
            public DateTimeOffset EffectiveAt { get; init; }
            public long Seq { get; init; }
            public required string TransactionId { get; init; }
            public required string Kind { get; init; }
            public string? SubjectId { get; init; }
            public required string EntryId { get; init; }
            public required string Account { get; init; }
            public long Amount { get; init; }
            public long? BalanceAfter { get; init; }
            public string? Component { get; init; }
            public long? Quantity { get; init; }
            public string? Unit { get; init; }
            public long? Rate { get; init; }
            public long? Per { get; init; }
            public string? RateCard { get; init; }
        }
    }

    /// <summary>Writes part after part, as fast as the client reads.</summary>
    private sealed class Csv(Part first, Func<long, Task<Result<Part>>> next) : IResult
    {
        public async Task ExecuteAsync(HttpContext httpContext)
        {
            httpContext.Response.ContentType = "text/csv; charset=utf-8";
            httpContext.Response.Headers.ContentDisposition = "attachment; filename=\"entries.csv\"";
            await httpContext.Response.WriteAsync(Header, httpContext.RequestAborted);
            for (var part = first; ;)
            {
                await httpContext.Response.WriteAsync(part.Rows, httpContext.RequestAborted);
                if (part.Last is not { } last)
                {
                    return;
                }

                var read = await next(last);
                if (!read.IsOk)
                {
                    // Cut off, so that nobody takes half of it for all.
                    httpContext.Abort();
                    return;
                }

                part = read.Value;
            }
        }
    }
}
