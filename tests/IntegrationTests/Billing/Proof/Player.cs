using MediatR;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using VoicePlatform.Billing.Features;
using VoicePlatform.Billing.Ledger;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.SharedKernel;

namespace VoicePlatform.IntegrationTests.Billing.Proof;

/// <summary>What a step was told. Null is what its answer does not say.</summary>
/// <param name="Available">The balance that it led to; null also where the request was known already.</param>
internal sealed record Told(string? TransactionId = null, long? Available = null, long? Cost = null);

/// <summary>How an operation ended.</summary>
/// <param name="Refusal">The error's code; null: it is done.</param>
internal sealed record Ending(string? Refusal, IReadOnlyList<Told> Told);

/// <summary>Plays operations on the module's own code, each in a transaction.</summary>
internal static class Player
{
    /// <param name="stop">Called in the middle of the transaction when it is time to die, with the server process it runs on.</param>
    /// <returns>Null: the connection was lost, and nobody knows how it ended.</returns>
    public static async Task<Ending?> PlayAsync(BareLedger ledger, Operation operation, Func<int, Task> stop)
    {
        try
        {
            return await TryAsync(ledger, operation, stop);
        }
        catch (Exception e) when (LostConnection(e))
        {
            return null;
        }
        catch (Exception e)
        {
            return new(e.ToString(), []);       // Nothing else may happen: whoever judges finds it.
        }
    }

    private static bool LostConnection(Exception? e) => e switch
    {
        null => false,
        PostgresException p => p.SqlState == PostgresErrorCodes.AdminShutdown,
        NpgsqlException => true,
        _ => LostConnection(e.InnerException),
    };

    private static async Task<Ending> TryAsync(BareLedger ledger, Operation operation, Func<int, Task> stop)
    {
        // As a conversation asks for it: without a unit of work, in a transaction of its own by being one statement.
        if (operation is { Steps: [{ Asks: Asks.Extend } alone], StopsAfter: null })
        {
            var extended = await ledger.SendAsync(new ExtendHold(alone.Tenant, alone.Name, Scenario.Use(alone.Amount)));
            return new(extended.Error?.Code, extended.IsOk ? [new Told()] : []);
        }

        List<Told> told = [];
        var result = await ledger.TogetherAsync(async scope =>
        {
            told = [];
            foreach (var step in operation.Steps)
            {
                if (told.Count == operation.StopsAfter)
                {
                    await stop(scope.GetRequiredService<UnitOfWork>().Connection.ProcessID);
                }

                var answer = await AskAsync(scope, step);
                if (!answer.IsOk)
                {
                    return answer.Error;
                }

                told.Add(answer.Value);
            }

            if (told.Count == operation.StopsAfter)
            {
                await stop(scope.GetRequiredService<UnitOfWork>().Connection.ProcessID);
            }

            return (Result<Done>)default(Done);
        });
        return new(result.Error?.Code, told);
    }

    private static async Task<Result<Told>> AskAsync(IServiceProvider scope, Step step)
    {
        var mediator = scope.GetRequiredService<IMediator>();
        switch (step.Asks)
        {
            case Asks.TopUp:
                return Read(await mediator.Send(new TopUp.Command(step.Tenant, step.Amount, step.Name)), r => new Told(r.TransactionId, r.Replayed ? null : r.Available));
            case Asks.Hold:
                return Read(await mediator.Send(new PlaceHold(step.Tenant, step.Name, null, Scenario.Use(step.Amount))), _ => new Told());
            case Asks.Extend:
                return Read(await mediator.Send(new ExtendHold(step.Tenant, step.Name, Scenario.Use(step.Amount))), _ => new Told());
            case Asks.Settle:
                return Read(await mediator.Send(new SettleHold(step.Tenant, step.Name, Scenario.Use(step.Amount))), c => new Told(c.TransactionId, Cost: c.Cost));
            case Asks.Grant:
                var granted = await scope.GetRequiredService<LedgerPostings>().GrantAsync(
                    step.Tenant, $"grant:{step.Name}", new { external_reference = step.Name }, step.Amount, Scenario.ExpiryOf(step.Name), default);
                return Read(granted, p => new Told(p!.TransactionId, p.Replayed ? null : p.Available));
            case Asks.Expire:
                return await FindAsync(scope, step) is string grant && await scope.GetRequiredService<LedgerPostings>().ExpireAsync(step.Tenant, grant, default) is { } expired
                    ? new Told(expired.Posting.TransactionId, expired.Posting.Available)
                    : new Told();
            case Asks.Late:
                // Who runs a conversation knows whether it is over.
                return await ScalarAsync(scope, "SELECT status FROM billing.holds WHERE tenant_id = $1 AND subject_id = $2", step) is not ("settled" or "released")
                    ? new Told()
                    : Read(await mediator.Send(new ChargeLateUse(step.Tenant, step.Name, [], Scenario.Use(step.Amount))), c => new Told(c.TransactionId, Cost: c.Cost));
            case Asks.Reverse:
                return await FindAsync(scope, step) is string transaction
                    ? Read(await mediator.Send(new ReverseTransaction.Command(transaction, "proof")), r => new Told(r.TransactionId, r.Available))
                    : new Told();

            default:
                throw new ArgumentOutOfRangeException(nameof(step), step.Asks, null);
        }
    }

    /// <summary>The transaction whose key is the step's name.</summary>
    private static Task<object?> FindAsync(IServiceProvider scope, Step step) =>
        ScalarAsync(scope, "SELECT id FROM billing.transactions WHERE tenant_id = $1 AND idempotency_key = $2", step);

    private static async Task<object?> ScalarAsync(IServiceProvider scope, string sql, Step step)
    {
        var unit = scope.GetRequiredService<UnitOfWork>();
        await using var query = new NpgsqlCommand(sql, unit.Connection, unit.Transaction) { Parameters = { new() { Value = step.Tenant }, new() { Value = step.Name } } };
        return await query.ExecuteScalarAsync();
    }

    private static Result<Told> Read<T>(Result<T> result, Func<T, Told> told) => result.IsOk ? told(result.Value) : result.Error;
}
