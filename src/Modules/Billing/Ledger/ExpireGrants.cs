using Dapper;
using Npgsql;
using VoicePlatform.Contracts.Tenants;

namespace VoicePlatform.Billing.Ledger;

/// <summary>
/// Takes back promotional credits whose time is over. What conversations that run may still draw of them is left to these: the rest is taken when they
/// have ended. Each grant is a transaction of its own, which finds nothing to do where another host was first.
/// </summary>
internal sealed class ExpireGrants(NpgsqlDataSource source, Transactions transactions) : IScheduledJob
{
    private const int PageSize = 1000;

    public string Name => "billing.expire-grants";

    public Schedule Schedule => new Schedule.Every(TimeSpan.FromMinutes(1));

    public async Task RunAsync(CancellationToken ct)
    {
        List<(string TransactionId, string TenantId)> due;
        do
        {
            await using (var connection = await source.OpenConnectionAsync(ct))
            {
                // Those of which nothing can be taken now, and whose conversations run, wait: every one that is listed becomes less or ends.
                due = [.. await connection.QueryAsync<(string, string)>(new(
                    """
                    SELECT g.transaction_id, g.tenant_id FROM billing.grants g JOIN billing.heads h ON h.tenant_id = g.tenant_id
                    WHERE g.ended_at IS NULL AND g.expires_at <= clock_timestamp() AND (h.held = 0 OR (h.available > 0 AND g.remaining > billing.kept_for_holds(g, h.held)))
                    ORDER BY g.expires_at LIMIT @PageSize
                    """, new { PageSize }, cancellationToken: ct))];
            }

            foreach (var (grant, tenantId) in due)
            {
                var caller = new Caller();
                caller.Become(tenantId, null, null, false);
                await transactions.RunAsync(caller, (scope, token) => scope.GetRequiredService<IMediator>().Send(new ExpireGrant(tenantId, grant), token), ct);
            }
        }
        while (due.Count == PageSize);
    }
}

/// <summary>Takes back what is left of one grant, and tells the tenant. Does nothing where there is nothing to do.</summary>
internal sealed record ExpireGrant(string TenantId, string TransactionId) : ICommand<Done>;

internal sealed class ExpireGrantHandler(LedgerPostings ledger, IMediator mediator) : IRequestHandler<ExpireGrant, Result<Done>>
{
    public async Task<Result<Done>> Handle(ExpireGrant request, CancellationToken cancellationToken)
    {
        if (await ledger.ExpireAsync(request.TenantId, request.TransactionId, cancellationToken) is not var (posting, amount, expiresAt))
        {
            return default(Done);
        }

        var data = new
        {
            amount, expires_at = expiresAt, granted_by = request.TransactionId, transaction_id = posting.TransactionId, balance = posting.Available + posting.Held, unit = Credits.Unit,
        };
        return await mediator.Send(new Announce(request.TenantId, "balance.credits_expired", request.TenantId, Json.Write(data), IsTest: false), cancellationToken);
    }
}
