using VoicePlatform.Billing.Ledger;

namespace VoicePlatform.Billing.Features;

/// <summary>Takes back what a transaction moved, once, with a transaction that names it. Nothing is ever edited.</summary>
internal static class ReverseTransaction
{
    public static void Map(RouteGroupBuilder billing) => billing
        .MapPost("/reversals", async (Command command, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(command, ct)).ToHttp(r => TypedResults.Json(r, Json.Options, statusCode: StatusCodes.Status201Created)))
        .WithName(nameof(ReverseTransaction))
        .Produces<Response>(StatusCodes.Status201Created);

    /// <param name="Reason">Why, for whoever reads the ledger later.</param>
    public sealed record Command(string? TransactionId, string? Reason) : ICommand<Response>;

    /// <param name="Amount">What the tenant got back, in micro-credits; below zero where credits were taken back.</param>
    public sealed record Response(string TransactionId, string Reverses, string TenantId, long Amount, string Unit, long Available);

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.TransactionId).NotEmpty().MaximumLength(64);
            RuleFor(c => c.Reason).NotEmpty().MaximumLength(500).WithMessage("'reason' must say why, in up to 500 characters.");
        }
    }

    internal sealed class Handler(LedgerPostings ledger, AuditLog audit) : IRequestHandler<Command, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Command command, CancellationToken cancellationToken)
        {
            var reversed = await ledger.ReverseAsync(command.TransactionId!, command.Reason!, cancellationToken);
            if (!reversed.IsOk)
            {
                return reversed.Error;
            }

            var (posting, tenantId, kind, amount) = reversed.Value;
            if (posting.Replayed)
            {
                return BillingErrors.AlreadyReversed;
            }

            await audit.NoteAsync(
                "billing.reversed", posting.TransactionId, new { reverses = command.TransactionId, kind, amount, command.Reason }, cancellationToken, tenantId);
            return new Response(posting.TransactionId, command.TransactionId!, tenantId, amount, Credits.Unit, posting.Available);
        }
    }
}
