using System.Globalization;
using Dapper;
using Npgsql;
using VoicePlatform.Billing.Features;

namespace VoicePlatform.Billing.Ledger;

/// <summary>
/// Keeps the statement of every month that is over, whether or not anybody asks for it: of last month in the first night of this one, and of what was
/// missed. One that cannot be closed is logged and tried again the next night; it keeps none of the others from it.
/// </summary>
internal sealed partial class CloseStatements(NpgsqlDataSource source, IMediator mediator, TimeProvider clock, ILogger<CloseStatements> log) : IScheduledJob
{
    private const int PageSize = 1000;

    public string Name => "billing.close-statements";

    public Schedule Schedule => new Schedule.DailyAt(new TimeOnly(0, 15));

    public async Task RunAsync(CancellationToken ct)
    {
        var now = clock.GetUtcNow().UtcDateTime;
        var thisMonth = new DateOnly(now.Year, now.Month, 1);
        var closed = 0;
        var page = new List<(string TenantId, DateOnly Month)>();
        var (tenant, month) = ("", DateOnly.MinValue);
        do
        {
            page = await OpenAsync(thisMonth, tenant, month, ct);
            foreach (var open in page)
            {
                (tenant, month) = open;
                closed += await CloseAsync(tenant, month, ct) ? 1 : 0;
            }
        }
        while (page.Count == PageSize);
        Closed(log, closed);
    }

    /// <summary>The next months that are over, in which or before which the tenant had a transaction, and that have no statement.</summary>
    private async Task<List<(string TenantId, DateOnly Month)>> OpenAsync(DateOnly thisMonth, string tenant, DateOnly month, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        var rows = await connection.QueryAsync<(string, string)>(new(
            """
            SELECT t.tenant_id, to_char(m, 'YYYY-MM-DD')
            FROM billing.heads h
            JOIN billing.transactions t ON t.tenant_id = h.tenant_id AND t.seq = 1
            CROSS JOIN LATERAL generate_series(date_trunc('month', t.posted_at AT TIME ZONE 'UTC'), @thisMonth::date - interval '1 month', interval '1 month') m
            WHERE h.tenant_id >= @tenant AND (h.tenant_id, m::date) > (@tenant, @month::date)
              AND NOT EXISTS (SELECT FROM billing.statements s WHERE s.tenant_id = h.tenant_id AND s.month = m::date)
            ORDER BY h.tenant_id, m LIMIT @PageSize
            """,
            new { thisMonth = Day(thisMonth), tenant, month = Day(month), PageSize }, cancellationToken: ct));
        return [.. rows.Select(r => (r.Item1, DateOnly.ParseExact(r.Item2, "yyyy-MM-dd", CultureInfo.InvariantCulture)))];

        static string Day(DateOnly day) => day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
    }

    private async Task<bool> CloseAsync(string tenantId, DateOnly month, CancellationToken ct)
    {
        var name = month.ToString("yyyy-MM", CultureInfo.InvariantCulture);
        try
        {
            return (await mediator.Send(new GetStatement.Query(tenantId, name, null), ct)).IsOk;
        }
        catch (NpgsqlException e)
        {
            NotClosed(log, name, tenantId, e);
            return false;
        }
    }

    [LoggerMessage(LogLevel.Information, "Closed {Count} statements")]
    private static partial void Closed(ILogger log, int count);

    [LoggerMessage(LogLevel.Error, "The statement of {Month} of {TenantId} could not be closed")]
    private static partial void NotClosed(ILogger log, string month, string tenantId, Exception e);
}
