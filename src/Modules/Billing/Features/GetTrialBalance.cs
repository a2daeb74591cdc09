using Dapper;

namespace VoicePlatform.Billing.Features;

/// <summary>
/// The whole installation's accounts, with what it pays its providers: every entry summed anew, and held against the balances that are kept. The total is zero.
/// </summary>
internal static class GetTrialBalance
{
    private const int MaxDifferences = 100;

    /// <summary>Every entry there is: seconds for tens of millions.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(5);

    public static void Map(RouteGroupBuilder billing) => billing
        .MapGet("/trial-balance", async (IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(GetTrialBalance))
        .Produces<Response>();

    public sealed record Query : IRequest<Result<Response>>;

    /// <param name="Ok">The total is zero and nothing differs.</param>
    /// <param name="Differences">The first hundred.</param>
    public sealed record Response(bool Ok, long Total, string Unit, IReadOnlyList<AccountBalance> Accounts, IReadOnlyList<BalanceDifference> Differences, DateTimeOffset AsOf);

    /// <param name="Account">available and held are the tenants', together; platform:… are the other side.</param>
    public sealed record AccountBalance(string Account, long Balance, long Entries);

    /// <summary>A tenant's balance that is not what its entries (available, held) or its active holds (holds) add up to.</summary>
    public sealed record BalanceDifference(string TenantId, string What, long Kept, long Summed);

    internal sealed class Handler(UnitOfWork unit, TimeProvider clock) : IRequestHandler<Query, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Query request, CancellationToken cancellationToken)
        {
            // One statement, one snapshot: what is posted meanwhile is in all of it or in none.
            var found = await (await unit.OpenAsync(cancellationToken)).QuerySingleAsync<(string Accounts, string Differences)>(new(
                """
                WITH sums AS MATERIALIZED (
                  SELECT tenant_id, account, sum(amount)::bigint AS balance, count(*) AS entries FROM billing.entries GROUP BY tenant_id, account),
                active AS (SELECT tenant_id, sum(amount)::bigint AS balance FROM billing.holds WHERE status = 'active' GROUP BY tenant_id),
                differences AS (
                  SELECT h.tenant_id, x.what, x.kept, coalesce(x.summed, 0) AS summed
                  FROM billing.heads h
                  LEFT JOIN sums a ON a.tenant_id = h.tenant_id AND a.account = 'available'
                  LEFT JOIN sums b ON b.tenant_id = h.tenant_id AND b.account = 'held'
                  LEFT JOIN active c ON c.tenant_id = h.tenant_id,
                  LATERAL (VALUES ('available', h.available, a.balance), ('held', h.held, b.balance), ('holds', h.held, c.balance)) AS x(what, kept, summed)
                  WHERE x.kept <> coalesce(x.summed, 0) ORDER BY h.tenant_id, x.what LIMIT @MaxDifferences)
                SELECT
                  (SELECT coalesce(jsonb_agg(jsonb_build_object('account', s.account, 'balance', s.balance, 'entries', s.entries) ORDER BY s.account), '[]')
                   FROM (SELECT account, sum(balance)::bigint AS balance, sum(entries)::bigint AS entries FROM sums GROUP BY account
                         UNION ALL SELECT account, balance, entries FROM billing.provider_cost_balances()) s)::text,
                  (SELECT coalesce(jsonb_agg(to_jsonb(d)), '[]') FROM differences d)::text
                """,
                new { MaxDifferences }, commandTimeout: (int)Longest.TotalSeconds, cancellationToken: cancellationToken));
            var accounts = Json.Read<List<AccountBalance>>(found.Accounts);
            var differences = Json.Read<List<BalanceDifference>>(found.Differences);
            var total = accounts.Sum(a => a.Balance);
            return new Response(total == 0 && differences.Count == 0, total, Credits.Unit, accounts, differences, clock.GetUtcNow());
        }
    }
}
