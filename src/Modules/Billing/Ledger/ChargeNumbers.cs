using System.Globalization;
using Npgsql;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Billing.Ledger;

/// <summary>
/// Charges the running month of every number that a tenant has, in advance and whole: from the month in which it was added, by the card that was in
/// force when the month began or the number was added in it. A month that is charged is not looked at again, however often this runs and on
/// however many hosts. A month in which no host ran at all is not charged later.
/// </summary>
internal sealed partial class ChargeNumbers(NpgsqlDataSource source, Transactions transactions, IMediator mediator, TimeProvider clock, ILogger<ChargeNumbers> log) : IScheduledJob
{
    private const int PageSize = 500;

    public string Name => "billing.charge-numbers";

    public Schedule Schedule => new Schedule.Every(TimeSpan.FromHours(1));

    public async Task RunAsync(CancellationToken ct)
    {
        var today = clock.GetUtcNow().UtcDateTime;
        var month = new DateTimeOffset(today.Year, today.Month, 1, 0, 0, 0, TimeSpan.Zero);
        for (var after = ""; ;)
        {
            var page = await mediator.Send(new ListChargeableNumbers(after, month, PageSize), ct);
            if (!page.IsOk)
            {
                throw new InvalidOperationException(page.Error.Code);
            }

            foreach (var due in await UnchargedAsync([.. page.Value.Select(n => new ChargeNumber(n.TenantId, n.Id, n.Number, month, n.AddedAt < month ? month : n.AddedAt))], ct))
            {
                var caller = new Caller();
                caller.Become(due.TenantId, null, null, false);
                var charged = await transactions.RunAsync(caller, (scope, token) => scope.GetRequiredService<IMediator>().Send(due, token), ct);
                if (!charged.IsOk)
                {
                    NotCharged(log, due.NumberId, due.TenantId, charged.Error.Code);
                }
            }

            if (page.Value.Count < PageSize)
            {
                return;
            }

            after = page.Value[^1].Id;
        }
    }

    private async Task<List<ChargeNumber>> UnchargedAsync(List<ChargeNumber> numbers, CancellationToken ct)
    {
        await using var query = source.CreateCommand(
            """
            SELECT n.at FROM unnest($1, $2) WITH ORDINALITY AS n(tenant_id, key, at)
            WHERE NOT EXISTS (SELECT FROM billing.transactions t WHERE t.tenant_id = n.tenant_id AND t.idempotency_key = n.key) ORDER BY n.at
            """);
        query.Parameters.Add(new() { Value = numbers.ConvertAll(n => n.TenantId) });
        query.Parameters.Add(new() { Value = numbers.ConvertAll(n => n.Key) });
        var uncharged = new List<ChargeNumber>();
        await using var row = await query.ExecuteReaderAsync(ct);
        while (await row.ReadAsync(ct))
        {
            uncharged.Add(numbers[(int)row.GetInt64(0) - 1]);
        }

        return uncharged;
    }

    [LoggerMessage(LogLevel.Warning, "The month of number {NumberId} of {TenantId} was not charged: {Code}")]
    private static partial void NotCharged(ILogger log, string numberId, string tenantId, string code);
}

/// <summary>Charges one month of one number, once. Does nothing where it costs nothing.</summary>
/// <param name="Month">Its first instant, UTC.</param>
/// <param name="PricedAt">The card that was in force then counts.</param>
internal sealed record ChargeNumber(string TenantId, string NumberId, string Number, DateTimeOffset Month, DateTimeOffset PricedAt) : ICommand<Done>
{
    /// <summary>Of the number itself: who gives it up and takes it again in a month has paid for it.</summary>
    public string Key => $"number:{Number}:{MonthName}";

    public string MonthName => Month.ToString("yyyy-MM", CultureInfo.InvariantCulture);
}

internal sealed class ChargeNumberHandler(LedgerPostings ledger, RateCards cards, ProviderCosts costs) : IRequestHandler<ChargeNumber, Result<Done>>
{
    public async Task<Result<Done>> Handle(ChargeNumber request, CancellationToken cancellationToken)
    {
        var card = await cards.InForceAsync(request.TenantId, request.PricedAt, [request.Number], cancellationToken);
        Measured[] used = [new("number", "month", 1) { Number = request.Number }];
        var cost = card.Cost(used);
        if (!cost.IsOk)
        {
            return cost.Error;
        }

        await costs.BookAsync(request.TenantId, request.Key, request.NumberId, card.ProviderCosts(used), cancellationToken);
        if (cost.Value.Amount == 0)
        {
            return default(Done);
        }

        var metadata = new { subject_id = request.NumberId, number = request.Number, month = request.MonthName, rate_card = card.Id };
        var posted = await ledger.ChargeAsync(request.TenantId, request.Key, metadata, Line.Of(cost.Value.Lines), cancellationToken);
        return posted.IsOk ? default(Done) : posted.Error;
    }
}
