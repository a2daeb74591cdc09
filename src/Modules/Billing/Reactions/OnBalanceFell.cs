using Dapper;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.Contracts.Tenants;

namespace VoicePlatform.Billing.Reactions;

/// <summary>Tells a tenant that its credits run low.</summary>
internal sealed class OnBalanceFell(IMediator mediator) : INotificationHandler<BalanceFell>
{
    public async Task Handle(BalanceFell notification, CancellationToken cancellationToken)
    {
        var told = await mediator.Send(new TellFalls(notification.TenantId), cancellationToken);
        if (!told.IsOk)
        {
            throw new InvalidOperationException($"It could not be told that credits run low: {told.Error.Code}.");
        }
    }
}

/// <summary>For each fall of the tenant's balance an event or two, and one mail, in their order. Whoever takes a row away tells it, in one transaction: once.</summary>
internal sealed record TellFalls(string TenantId) : ICommand<Done>;

internal sealed class TellFallsHandler(UnitOfWork unit, IMediator mediator) : IRequestHandler<TellFalls, Result<Done>>
{
    public async Task<Result<Done>> Handle(TellFalls request, CancellationToken cancellationToken)
    {
        // Who comes at the same time waits for the first row, and then finds what is left.
        var falls = (await unit.Connection.QueryAsync<Fall>(new(
            "SELECT n, fell_at, balance, credit_limit, threshold, exhausted FROM billing.falls WHERE tenant_id = @TenantId ORDER BY n FOR UPDATE",
            request, unit.Transaction, cancellationToken: cancellationToken))).ToList();
        if (falls.Count == 0)
        {
            return default(Done);
        }

        var email = await unit.Connection.ExecuteScalarAsync<string?>(new(
            """
            DELETE FROM billing.falls WHERE tenant_id = @TenantId AND n = ANY (@told);
            SELECT email FROM billing.alerts WHERE tenant_id = @TenantId
            """, new { request.TenantId, told = falls.ConvertAll(f => f.N) }, unit.Transaction, cancellationToken: cancellationToken));
        foreach (var fall in falls)
        {
            var told = await TellAsync(request.TenantId, fall, email, cancellationToken);
            if (!told.IsOk)
            {
                return told.Error;
            }
        }

        return default(Done);
    }

    private async Task<Result<Done>> TellAsync(string tenant, Fall fall, string? email, CancellationToken ct)
    {
        var (balance, limit) = (fall.Balance, fall.CreditLimit);
        if (fall.Threshold is { } threshold)
        {
            await AnnounceAsync("balance.low", new { balance, credit_limit = limit, threshold, unit = Credits.Unit, fall.FellAt });
        }

        if (fall.Exhausted)
        {
            await AnnounceAsync("balance.exhausted", new { balance, credit_limit = limit, unit = Credits.Unit, fall.FellAt });
        }

        var (subject, text) = fall.Exhausted
            ? ("Your credits are used up",
                $"The balance is {Statement.InCredits(balance)} credits, with a credit limit of {Statement.InCredits(limit)}. Calls and sessions are refused until there are credits again.")
            : ("Your credits run low",
                $"The balance is {Statement.InCredits(balance)} credits, with a credit limit of {Statement.InCredits(limit)}: less than the {Statement.InCredits(fall.Threshold!.Value)} at which you wanted to be told.");
        text += "\n\nPUT /v1/billing/alerts changes when and to whom this is told; GET /v1/billing/transactions shows what was spent.\n";
        return email is null
            ? await mediator.Send(new MailContacts(tenant, subject, text), ct)
            : await mediator.Send(new SendMail(tenant, email, subject, text), ct);

        Task AnnounceAsync(string type, object data) => mediator.Send(new Announce(tenant, type, tenant, Json.Write(data), IsTest: false), ct);
    }

    /// <param name="Balance">Posted, when it fell, in micro-credits.</param>
    /// <param name="Threshold">The one that it fell below; null: it was below.</param>
    /// <param name="Exhausted">Nothing is left.</param>
    private sealed record Fall(long N, DateTimeOffset FellAt, long Balance, long CreditLimit, long? Threshold, bool Exhausted);
}
