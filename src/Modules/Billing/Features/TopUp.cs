using VoicePlatform.Billing.Ledger;

namespace VoicePlatform.Billing.Features;

/// <summary>Books credits that a tenant bought. The external reference (an invoice, a payment) makes it idempotent.</summary>
internal static class TopUp
{
    public static void Map(RouteGroupBuilder billing) => billing
        .MapPost("/topups", async (Command command, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(command, ct)).ToHttp(r => TypedResults.Json(r, Json.Options, statusCode: StatusCodes.Status201Created)))
        .WithName(nameof(TopUp))
        .Produces<Response>(StatusCodes.Status201Created);

    /// <param name="Amount">Micro-credits, above zero.</param>
    public sealed record Command(string? TenantId, long Amount, string? ExternalReference) : ICommand<Response>;

    public sealed record Response(string TransactionId, string TenantId, long Amount, string Unit, long Available, bool Replayed);

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.TenantId).Must(id => Ids.IsWellFormed(id, Ids.Tenant)).WithMessage("'tenant_id' must be a tenant's id.");
            RuleFor(c => c.Amount).InclusiveBetween(1, Credits.Max).WithMessage("'amount' must be a whole number of micro-credits above zero.");
            RuleFor(c => c.ExternalReference).NotEmpty().MaximumLength(200).WithMessage("'external_reference' must name what was paid, in up to 200 characters.");
        }
    }

    internal sealed class Handler(LedgerPostings ledger, AuditLog audit) : IRequestHandler<Command, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Command command, CancellationToken cancellationToken)
        {
            var posted = await ledger.PostAsync(
                command.TenantId!, "topup", $"topup:{command.ExternalReference}", new { external_reference = command.ExternalReference },
                [new("available", command.Amount), new("platform:funding", -command.Amount)], cancellationToken);
            if (posted is not { IsOk: true, Value: { } p })
            {
                return posted.Error ?? BillingErrors.UnknownTenant;
            }

            if (!p.Replayed)
            {
                await audit.NoteAsync("billing.topup", p.TransactionId, new { command.Amount, command.ExternalReference }, cancellationToken, command.TenantId);
            }

            return new Response(p.TransactionId, command.TenantId!, command.Amount, Credits.Unit, p.Available, p.Replayed);
        }
    }
}
