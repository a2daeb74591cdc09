using VoicePlatform.Billing.Ledger;

namespace VoicePlatform.Billing.Features;

/// <summary>
/// Says when and to whom it is told that credits run low: an event (balance.low) and a mail when posted + credit_limit falls below the threshold,
/// once until it has been above again. A threshold above what is there is told of at once.
/// </summary>
internal static class PutAlerts
{
    private const int MaxEmailLength = 254;

    public static void Map(RouteGroupBuilder billing) => billing
        .MapPut("/alerts", async (Body body, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(body.LowBalance, body.Email, Etag.Wanted(http)), ct)).ToHttp(r => AlertsAnswer.Tell(r, http)))
        .WithName(nameof(PutAlerts))
        .Produces<AlertsView>();

    /// <param name="LowBalance">Micro-credits; 0: only when nothing is left; left out or null: at the installation's threshold.</param>
    /// <param name="Email">Left out or null: the tenant's contact address, or its owners and admins.</param>
    public sealed record Body(long? LowBalance = null, string? Email = null);

    public sealed record Command(long? LowBalance, string? Email, string IfMatch) : ICommand<AlertsAnswer>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.LowBalance).InclusiveBetween(0, Credits.Max).WithMessage($"'low_balance' must be from 0 to {Credits.Max} micro-credits.");
            RuleFor(c => c.Email).MaximumLength(MaxEmailLength).EmailAddress();
        }
    }

    internal sealed class Handler(BalanceAlerts alerts, Caller caller, AuditLog audit) : IRequestHandler<Command, Result<AlertsAnswer>>
    {
        public async Task<Result<AlertsAnswer>> Handle(Command command, CancellationToken cancellationToken)
        {
            if (await alerts.SetAsync(caller.TenantId, command.LowBalance, command.Email, cancellationToken) is not var (view, revision))
            {
                return BillingErrors.UnknownTenant;
            }

            // The setting took the lock, so nobody comes between; a refusal takes it back.
            if (Etag.Refusal(command.IfMatch, revision - 1) is { } changed)
            {
                return changed;
            }

            await audit.NoteAsync("billing.alerts_set", caller.TenantId, new { command.LowBalance, command.Email }, cancellationToken);
            return new AlertsAnswer(view, revision);
        }
    }
}
