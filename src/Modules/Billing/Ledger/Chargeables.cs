using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Billing.Ledger;

internal static class Chargeables
{
    /// <summary>The conversations that holds were placed for: those of the calls and sessions that there are.</summary>
    public static async Task<Result<IReadOnlyList<Chargeable>>> FindChargeablesAsync(this IMediator mediator, IReadOnlyCollection<string> subjects, CancellationToken ct)
    {
        var calls = await mediator.Send(new FindChargeableCalls(subjects), ct);
        if (!calls.IsOk)
        {
            return calls.Error;
        }

        var sessions = await mediator.Send(new FindChargeableSessions(subjects), ct);
        return sessions.IsOk ? Result<IReadOnlyList<Chargeable>>.Ok([.. calls.Value, .. sessions.Value]) : sessions.Error;
    }
}
