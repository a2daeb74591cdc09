using Npgsql;
using VoicePlatform.Billing.Ledger;

namespace VoicePlatform.Billing.Features;

/// <summary>
/// Books credits that a tenant bought, or was given (promotional), which may expire. The external reference (an invoice, a payment, a campaign) makes
/// it idempotent.
/// </summary>
internal static class TopUp
{
    private const int MaxYearsAhead = 10;

    public enum TopUpKind
    {
        /// <summary>Bought.</summary>
        Paid,

        /// <summary>Given: used before what was bought.</summary>
        Promotional,
    }

    public static void Map(RouteGroupBuilder billing) => billing
        .MapPost("/topups", async (Command command, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(command, ct)).ToHttp(r => TypedResults.Json(r, Json.Options, statusCode: StatusCodes.Status201Created)))
        .WithName(nameof(TopUp))
        .Produces<Response>(StatusCodes.Status201Created);

    /// <param name="Amount">Micro-credits, above zero.</param>
    /// <param name="ExpiresAt">Of promotional credits: what is not used until then is taken back. Within ten years; left out: never.</param>
    public sealed record Command(string? TenantId, long Amount, string? ExternalReference, TopUpKind Kind = TopUpKind.Paid, DateTimeOffset? ExpiresAt = null) : ICommand<Response>;

    public sealed record Response(
        string TransactionId, string TenantId, long Amount, string Unit, TopUpKind Kind, DateTimeOffset? ExpiresAt, long Available, bool Replayed);

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.TenantId).Must(id => Ids.IsWellFormed(id, Ids.Tenant)).WithMessage("'tenant_id' must be a tenant's id.");
            RuleFor(c => c.Amount).InclusiveBetween(1, Credits.Max).WithMessage("'amount' must be a whole number of micro-credits above zero.");
            RuleFor(c => c.ExternalReference).NotEmpty().MaximumLength(200).WithMessage("'external_reference' must name what was paid, in up to 200 characters.");
            RuleFor(c => c.ExpiresAt).Null().When(c => c.Kind is TopUpKind.Paid).WithMessage("'expires_at' is for promotional credits: what was paid for does not expire.");
        }
    }

    internal sealed class Handler(LedgerPostings ledger, UnitOfWork unit, AuditLog audit, TimeProvider clock) : IRequestHandler<Command, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Command command, CancellationToken cancellationToken)
        {
            var now = clock.GetUtcNow();
            if (command.ExpiresAt <= now)
            {
                return Error.Field("expires_at", "in_the_past", "'expires_at' must be in the future.");
            }

            if (command.ExpiresAt > now.AddYears(MaxYearsAhead))
            {
                return Error.Field("expires_at", "out_of_range", $"'expires_at' must be within {MaxYearsAhead} years.");
            }

            var key = $"topup:{command.ExternalReference}";
            var posted = command.Kind is TopUpKind.Promotional
                ? await ledger.GrantAsync(
                    command.TenantId!, key, new { external_reference = command.ExternalReference, expires_at = command.ExpiresAt?.UtcDateTime }, command.Amount, command.ExpiresAt, cancellationToken)
                : await ledger.PostAsync(
                    command.TenantId!, "topup", key, new { external_reference = command.ExternalReference },
                    [new("available", command.Amount), new("platform:funding", -command.Amount)], cancellationToken);
            if (posted is not { IsOk: true, Value: { } p })
            {
                return posted.Error ?? BillingErrors.UnknownTenant;
            }

            if (p.Replayed)
            {
                if (!await IsAsync(p.TransactionId, command, cancellationToken))
                {
                    return BillingErrors.ReferenceUsed;
                }
            }
            else
            {
                await audit.NoteAsync(
                    "billing.topup", p.TransactionId, new { command.Amount, command.ExternalReference, command.Kind, command.ExpiresAt }, cancellationToken, command.TenantId);
            }

            return new Response(p.TransactionId, command.TenantId!, command.Amount, Credits.Unit, command.Kind, command.ExpiresAt?.ToUniversalTime(), p.Available, p.Replayed);
        }

        /// <summary>Whether the known transaction booked what is asked for now.</summary>
        private async Task<bool> IsAsync(string transactionId, Command command, CancellationToken ct)
        {
            await using var query = new NpgsqlCommand(
                """
                SELECT EXISTS (
                  SELECT FROM billing.transactions t JOIN billing.entries e ON e.transaction_id = t.id AND e.account = 'available'
                  WHERE t.id = $1 AND t.kind = $2 AND e.amount = $3)
                """, unit.Connection, unit.Transaction);
            query.Parameters.Add(new() { Value = transactionId });
            query.Parameters.Add(new() { Value = command.Kind is TopUpKind.Promotional ? "promotional" : "topup" });
            query.Parameters.Add(new() { Value = command.Amount });
            return (bool)(await query.ExecuteScalarAsync(ct))!;
        }
    }
}
