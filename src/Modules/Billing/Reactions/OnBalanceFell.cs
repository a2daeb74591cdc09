using Dapper;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.Contracts.Tenants;

namespace VoicePlatform.Billing.Reactions;

/// <summary>Tells a tenant that its credits run low.</summary>
internal sealed class OnBalanceFell(IMediator mediator) : INotificationHandler<BalanceFell>
{
    public async Task Handle(BalanceFell notification, CancellationToken cancellationToken)
    {
        var told = await mediator.Send(new TellFall(notification.FallId), cancellationToken);
        if (!told.IsOk)
        {
            throw new InvalidOperationException($"It could not be told that credits run low: {told.Error.Code}.");
        }
    }
}

/// <summary>An event each, and one mail. Whoever takes the row away tells it, in one transaction: delivered twice, it is told once.</summary>
internal sealed record TellFall(Guid FallId) : ICommand<Done>;

internal sealed class TellFallHandler(UnitOfWork unit, IMediator mediator) : IRequestHandler<TellFall, Result<Done>>
{
    public async Task<Result<Done>> Handle(TellFall request, CancellationToken cancellationToken)
    {
        var taken = await unit.Connection.QuerySingleOrDefaultAsync<Fall>(new(
            """
            WITH f AS (DELETE FROM billing.falls WHERE id = @FallId RETURNING *)
            SELECT f.tenant_id, f.balance, f.credit_limit, f.threshold, f.exhausted, a.email FROM f LEFT JOIN billing.alerts a ON a.tenant_id = f.tenant_id
            """, new { request.FallId }, unit.Transaction, cancellationToken: cancellationToken));
        if (taken is not { TenantId: var tenant, Balance: var balance, CreditLimit: var limit } fall)
        {
            return default(Done);
        }

        if (fall.Threshold is { } threshold)
        {
            await AnnounceAsync("balance.low", new { balance, credit_limit = limit, threshold, unit = Credits.Unit });
        }

        if (fall.Exhausted)
        {
            await AnnounceAsync("balance.exhausted", new { balance, credit_limit = limit, unit = Credits.Unit });
        }

        var (subject, text) = fall.Exhausted
            ? ("Your credits are used up",
                $"The balance is {Statement.InCredits(balance)} credits, with a credit limit of {Statement.InCredits(limit)}. Calls and sessions are refused until there are credits again.")
            : ("Your credits run low",
                $"The balance is {Statement.InCredits(balance)} credits, with a credit limit of {Statement.InCredits(limit)}: less than the {Statement.InCredits(fall.Threshold!.Value)} at which you wanted to be told.");
        text += "\n\nPUT /v1/billing/alerts changes when and to whom this is told; GET /v1/billing/transactions shows what was spent.\n";
        return fall.Email is null
            ? await mediator.Send(new MailContacts(tenant, subject, text), cancellationToken)
            : await mediator.Send(new SendMail(tenant, fall.Email, subject, text), cancellationToken);

        Task AnnounceAsync(string type, object data) => mediator.Send(new Announce(tenant, type, tenant, Json.Write(data), IsTest: false), cancellationToken);
    }

    /// <param name="Balance">Posted, when it fell, in micro-credits.</param>
    /// <param name="Threshold">The one that it fell below; null: it was below.</param>
    /// <param name="Exhausted">Nothing is left.</param>
    /// <param name="Email">Whom the tenant has named; null: its contacts.</param>
    private sealed record Fall(string TenantId, long Balance, long CreditLimit, long? Threshold, bool Exhausted, string? Email);
}
