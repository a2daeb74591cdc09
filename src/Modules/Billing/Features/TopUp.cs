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

    /// <summary>The most that an account may come to by top-ups, in micro-credits: far from overflow in any sum of balances, limits and holds.</summary>
    private const long MaxBalance = 1000 * Credits.Max;

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
    /// <param name="EffectiveAt">When what was bought was paid, for the reader: balances and statements go by when it is booked. Not in the future; left out: now.</param>
    public sealed record Command(
        string? TenantId, long Amount, string? ExternalReference, TopUpKind Kind = TopUpKind.Paid, DateTimeOffset? ExpiresAt = null, DateTimeOffset? EffectiveAt = null)
        : ICommand<Response>;

    public sealed record Response(
        string TransactionId, string TenantId, long Amount, string Unit, TopUpKind Kind, DateTimeOffset? ExpiresAt, long Available, bool Replayed);

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.TenantId).Must(id => Ids.IsWellFormed(id, Ids.Tenant)).WithMessage("'tenant_id' must be a tenant's id.");
            RuleFor(c => c.Amount).InclusiveBetween(1, Credits.Max).WithMessage("'amount' must be a whole number of micro-credits above zero.");
            // One line: it stands in the text of which the chain's hash is made, where a line is a field.
            RuleFor(c => c.ExternalReference).NotEmpty().MaximumLength(200).Must(r => r?.Any(char.IsControl) is not true)
                .WithMessage("'external_reference' must name what was paid, in a line of up to 200 characters.");
            RuleFor(c => c.ExpiresAt).Null().When(c => c.Kind is TopUpKind.Paid).WithMessage("'expires_at' is for promotional credits: what was paid for does not expire.");
            RuleFor(c => c.EffectiveAt).Null().When(c => c.Kind is TopUpKind.Promotional).WithMessage("'effective_at' is for what was paid.");
        }
    }

    internal sealed class Handler(LedgerPostings ledger, UnitOfWork unit, AuditLog audit, TimeProvider clock) : IRequestHandler<Command, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Command command, CancellationToken cancellationToken)
        {
            if (command.EffectiveAt > clock.GetUtcNow() || command.EffectiveAt < DateTimeOffset.UnixEpoch)
            {
                return Error.Field("effective_at", "out_of_range", "'effective_at' must be since 1970 and not in the future.");
            }

            var key = $"topup:{command.ExternalReference}";
            var posted = command.Kind is TopUpKind.Promotional
                ? await ledger.GrantAsync(
                    command.TenantId!, key, new { external_reference = command.ExternalReference, expires_at = command.ExpiresAt?.UtcDateTime }, command.Amount, command.ExpiresAt, cancellationToken)
                : await ledger.PostAsync(
                    command.TenantId!, "topup", key, command.EffectiveAt, new { external_reference = command.ExternalReference },
                    [new("available", command.Amount), new("platform:funding", -command.Amount)], cancellationToken);
            if (posted is not { IsOk: true, Value: { } p })
            {
                return posted.Error ?? BillingErrors.UnknownTenant;
            }

            var booked = await BookedAsync(p.TransactionId, command, cancellationToken);
            if (p.Replayed)
            {
                if (booked.Amount != command.Amount || booked.Kind != command.Kind || !booked.TimesAsAsked)
                {
                    return BillingErrors.ReferenceUsed;
                }
            }
            else
            {
                // What is refused rolls back: a reference that is known is answered also when its credits have expired meanwhile.
                if (Refusal(command, p) is { } refusal)
                {
                    return refusal;
                }

                await audit.NoteAsync(
                    "billing.topup", p.TransactionId, new { command.Amount, command.ExternalReference, command.Kind, booked.ExpiresAt, command.EffectiveAt }, cancellationToken, command.TenantId);
            }

            return new Response(p.TransactionId, command.TenantId!, booked.Amount, Credits.Unit, booked.Kind, booked.ExpiresAt, p.Available, p.Replayed);
        }

        private Error? Refusal(Command command, Posting posting)
        {
            var now = clock.GetUtcNow();
            return command.ExpiresAt <= now ? Error.Field("expires_at", "in_the_past", "'expires_at' must be in the future.")
                : command.ExpiresAt > now.AddYears(MaxYearsAhead) ? Error.Field("expires_at", "out_of_range", $"'expires_at' must be within {MaxYearsAhead} years.")
                : posting.Available + posting.Held > MaxBalance ? Error.Field("amount", "out_of_range", $"'amount' would lift the balance above {MaxBalance / Credits.One} credits, the most that an account holds.")
                : null;
        }

        /// <summary>What the transaction has booked, and whether it expires and was paid as is asked for now: to the microsecond that is kept.</summary>
        private async Task<(TopUpKind Kind, long Amount, DateTimeOffset? ExpiresAt, bool TimesAsAsked)> BookedAsync(string transactionId, Command asked, CancellationToken ct)
        {
            await using var query = new NpgsqlCommand(
                """
                SELECT t.kind, e.amount, g.expires_at, g.expires_at IS NOT DISTINCT FROM $2 AND t.effective_at = coalesce($3, t.effective_at)
                FROM billing.transactions t
                JOIN billing.entries e ON e.transaction_id = t.id AND e.account = 'available'
                LEFT JOIN billing.grants g ON g.transaction_id = t.id
                WHERE t.id = $1
                """, unit.Connection, unit.Transaction);
            query.Parameters.Add(new() { Value = transactionId });
            query.Parameters.Add(LedgerPostings.Instant(asked.ExpiresAt));
            query.Parameters.Add(LedgerPostings.Instant(asked.EffectiveAt));
            await using var row = await query.ExecuteReaderAsync(ct);
            await row.ReadAsync(ct);
            return (
                row.GetString(0) == "promotional" ? TopUpKind.Promotional : TopUpKind.Paid, row.GetInt64(1),
                await row.IsDBNullAsync(2, ct) ? null : row.GetFieldValue<DateTimeOffset>(2), row.GetBoolean(3));
        }
    }
}
