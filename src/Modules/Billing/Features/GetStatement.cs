using System.Globalization;
using System.Text;
using Npgsql;
using VoicePlatform.Billing.Ledger;

namespace VoicePlatform.Billing.Features;

/// <summary>A month's statement: opening balance, what moved by kind and component, closing balance. JSON, or with ?format= csv or html to print.</summary>
internal static class GetStatement
{
    /// <summary>The sums of a month of millions of entries.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(2);

    private static readonly string[] Formats = ["json", "csv", "html"];

    public static void Map(RouteGroupBuilder billing) => billing
        .MapGet("/statements/{month}", async (string month, string? format, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, month, format), ct)).ToHttp(s => format switch
            {
                "csv" => TypedResults.Text(s.ToCsv(), "text/csv", Encoding.UTF8),
                "html" => TypedResults.Text(s.ToHtml(), "text/html", Encoding.UTF8),
                _ => TypedResults.Json(s, Json.Options),
            }))
        .WithName(nameof(GetStatement))
        .Produces<Statement>();

    public sealed record Query(string TenantId, string Month, string? Format) : IRequest<Result<Statement>>;

    internal sealed class Handler(UnitOfWork unit, Past past, TimeProvider clock) : IRequestHandler<Query, Result<Statement>>
    {
        public async Task<Result<Statement>> Handle(Query request, CancellationToken cancellationToken)
        {
            if (request.Format is not null && !Formats.Contains(request.Format))
            {
                return Error.Field("format", "unknown", $"'format' must be one of {string.Join(", ", Formats)}.");
            }

            var now = clock.GetUtcNow();
            if (!DateOnly.TryParseExact(request.Month + "-01", "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var month)
                || month.ToDateTime(TimeOnly.MinValue) > now.UtcDateTime)
            {
                return BillingErrors.NoStatement;
            }

            // A transaction of its own: while a long month is summed up, postings go on.
            await past.CloseAsync(request.TenantId, new DateTimeOffset(month.AddMonths(1), TimeOnly.MinValue, TimeSpan.Zero).AddMicroseconds(-1), cancellationToken);
            await using var query = new NpgsqlCommand("SELECT statement::text, closed_at FROM billing.statement($1, $2)", await unit.OpenAsync(cancellationToken));
            query.Parameters.Add(new() { Value = request.TenantId });
            query.Parameters.Add(new() { Value = month });
            query.CommandTimeout = (int)Longest.TotalSeconds;
            await using var row = await query.ExecuteReaderAsync(cancellationToken);
            await row.ReadAsync(cancellationToken);
            var sums = Json.Read<Sums>(row.GetString(0));
            var closedAt = row.IsDBNull(1) ? (DateTimeOffset?)null : row.GetFieldValue<DateTimeOffset>(1);
            var from = new DateTimeOffset(month, TimeOnly.MinValue, TimeSpan.Zero);
            return new Statement(
                request.TenantId, request.Month, closedAt is null ? StatementStatus.Open : StatementStatus.Closed, from, from.AddMonths(1), Credits.Unit,
                sums.Opening, sums.Movements, sums.Closing, sums.Last, closedAt ?? now);
        }

        /// <summary>As billing.sum_up writes it.</summary>
        private sealed record Sums(StatementBalance Opening, IReadOnlyList<Movement> Movements, StatementBalance Closing, LastTransaction? Last);
    }
}
