using Dapper;
using Npgsql;

namespace VoicePlatform.Billing.Ledger;

/// <summary>
/// Ends holds that nobody will: they are older than a day, and their conversation is over or there is none. Each is a transaction of its own, which finds
/// nothing to do where somebody else was first, and a difference that the tenant and the operator are told of.
/// </summary>
internal sealed partial class ExpireHolds(NpgsqlDataSource source, Transactions transactions, IMediator mediator, TimeProvider clock, ILogger<ExpireHolds> log) : IScheduledJob
{
    private const int PageSize = 1000;

    private static readonly TimeSpan Grace = TimeSpan.FromDays(1);

    public string Name => "billing.expire-holds";

    public Schedule Schedule => new Schedule.Every(TimeSpan.FromHours(1));

    public async Task RunAsync(CancellationToken ct)
    {
        var before = clock.GetUtcNow() - Grace;
        List<(string SubjectId, string TenantId)> page;
        for (var after = ""; ; after = page[^1].SubjectId)
        {
            await using (var connection = await source.OpenConnectionAsync(ct))
            {
                page = [.. await connection.QueryAsync<(string, string)>(new(
                    """
                    SELECT subject_id, tenant_id FROM billing.holds
                    WHERE ended_at IS NULL AND placed_at < @before AND subject_id > @after ORDER BY subject_id LIMIT @PageSize
                    """, new { before, after, PageSize }, cancellationToken: ct))];
            }

            var found = await mediator.FindChargeablesAsync([.. page.Select(h => h.SubjectId)], ct);
            if (!found.IsOk)
            {
                throw new InvalidOperationException(found.Error.Code);
            }

            var conversations = found.Value.ToDictionary(c => c.SubjectId, StringComparer.Ordinal);
            foreach (var (subject, tenant) in page)
            {
                var conversation = conversations.GetValueOrDefault(subject);
                if (conversation is null or { IsOver: true })
                {
                    await ExpireAsync(new(tenant, subject, conversation is not null, conversation?.Cost), ct);
                }
            }

            if (page.Count < PageSize)
            {
                return;
            }
        }
    }

    private async Task ExpireAsync(ExpireHold hold, CancellationToken ct)
    {
        var caller = new Caller();
        caller.Become(hold.TenantId, null, null, false);
        var done = await transactions.RunAsync(caller, (scope, token) => scope.GetRequiredService<IMediator>().Send(hold, token), ct);
        if (done.IsOk)
        {
            Expired(log, hold.SubjectId, hold.TenantId, hold.WasThere);
        }
        else
        {
            NotExpired(log, hold.SubjectId, hold.TenantId, done.Error.Code);
        }
    }

    [LoggerMessage(LogLevel.Warning, "The hold of {SubjectId} of {TenantId} is given back: its conversation (known: {WasThere}) settled it never")]
    private static partial void Expired(ILogger log, string subjectId, string tenantId, bool wasThere);

    [LoggerMessage(LogLevel.Error, "The hold of {SubjectId} of {TenantId} could not be given back: {Code}")]
    private static partial void NotExpired(ILogger log, string subjectId, string tenantId, string code);
}

/// <summary>Gives one hold back and tells of it. Does nothing where it is over.</summary>
/// <param name="WasThere">Its conversation is known.</param>
/// <param name="Cost">What the conversation's owner says it cost, in micro-credits; null: not known.</param>
internal sealed record ExpireHold(string TenantId, string SubjectId, bool WasThere, long? Cost) : ICommand<Done>;

internal sealed class ExpireHoldHandler(LedgerPostings ledger, IMediator mediator) : IRequestHandler<ExpireHold, Result<Done>>
{
    public async Task<Result<Done>> Handle(ExpireHold request, CancellationToken cancellationToken)
    {
        var reason = request.WasThere ? "conversation_over" : "no_conversation";
        var posted = await ledger.ReleaseHoldAsync(request.TenantId, request.SubjectId, "expired", new { reason }, cancellationToken);
        return !posted.IsOk ? posted.Error
            : posted.Value is null or { Replayed: true } ? default(Done)
            : await mediator.Send(new NoteDifference(new("hold_expired", request.SubjectId, request.TenantId, 0, request.Cost)), cancellationToken);
    }
}
