using VoicePlatform.Billing.Ledger;

namespace VoicePlatform.Billing.Features;

/// <summary>
/// Says how far below zero a tenant may spend, to pay afterwards. Lowered below what is used already, it refuses new conversations until there is room
/// again; those that run go on while their credits last.
/// </summary>
internal static class SetCreditLimit
{
    public static void Map(RouteGroupBuilder billing) => billing
        .MapPut("/credit-limit", async (Command command, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(command, ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(SetCreditLimit))
        .Produces<Response>();

    /// <param name="CreditLimit">Micro-credits; 0: everything is paid in advance.</param>
    public sealed record Command(string? TenantId, long? CreditLimit) : ICommand<Response>;

    /// <param name="Spendable">available + credit_limit, not below 0, in micro-credits.</param>
    public sealed record Response(string TenantId, long CreditLimit, long Available, long Spendable, string Unit);

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.TenantId).Must(id => Ids.IsWellFormed(id, Ids.Tenant)).WithMessage("'tenant_id' must be a tenant's id.");
            RuleFor(c => c.CreditLimit).NotNull().InclusiveBetween(0, Credits.Max).WithMessage($"'credit_limit' must be from 0 to {Credits.Max} micro-credits.");
        }
    }

    internal sealed class Handler(LedgerPostings ledger, AuditLog audit) : IRequestHandler<Command, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Command command, CancellationToken cancellationToken)
        {
            var (tenantId, limit) = (command.TenantId!, command.CreditLimit!.Value);
            if (await ledger.SetCreditLimitAsync(tenantId, limit, cancellationToken) is not var (before, available))
            {
                return BillingErrors.UnknownTenant;
            }

            await audit.NoteAsync("billing.credit_limit_set", tenantId, new { credit_limit = limit, before }, cancellationToken, tenantId);
            return new Response(tenantId, limit, available, Math.Max(available + limit, 0), Credits.Unit);
        }
    }
}
