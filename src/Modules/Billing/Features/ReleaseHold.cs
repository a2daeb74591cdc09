using Npgsql;
using VoicePlatform.Billing.Ledger;

namespace VoicePlatform.Billing.Features;

/// <summary>Gives back a hold whose conversation is over, or not there any more, without anybody having settled it. Asked again it answers the same.</summary>
internal static class ReleaseHold
{
    public static void Map(RouteGroupBuilder billing) => billing
        .MapPost("/holds/{id}/release", async (string id, Body body, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(id, body.Reason), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(ReleaseHold))
        .Produces<Response>();

    /// <param name="Reason">Why, for whoever reads the ledger later.</param>
    public sealed record Body(string? Reason);

    public sealed record Command(string HoldId, string? Reason) : ICommand<Response>;

    /// <param name="Amount">What the tenant got back, in micro-credits.</param>
    /// <param name="Status">released; expired where time had ended it before.</param>
    public sealed record Response(string HoldId, string TenantId, string SubjectId, ListHolds.HoldStatus Status, long Amount, string Unit, string TransactionId, long Available);

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator() => RuleFor(c => c.Reason).NotEmpty().MaximumLength(500).WithMessage("'reason' must say why, in up to 500 characters.");
    }

    internal sealed class Handler(LedgerPostings ledger, UnitOfWork unit, IMediator mediator, AuditLog audit) : IRequestHandler<Command, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Command command, CancellationToken cancellationToken)
        {
            if (await FindAsync(command.HoldId, cancellationToken) is not { } hold)
            {
                return BillingErrors.NoHold;
            }

            if (hold.Status is ListHolds.HoldStatus.Active)
            {
                var conversation = await mediator.FindChargeablesAsync([hold.SubjectId], cancellationToken);
                if (!conversation.IsOk)
                {
                    return conversation.Error;
                }

                if (conversation.Value.Any(c => !c.IsOver))
                {
                    return BillingErrors.HoldInUse;
                }
            }

            var released = await ledger.ReleaseHoldAsync(hold.TenantId, hold.SubjectId, "released", new { reason = command.Reason }, cancellationToken);
            if (released is not { IsOk: true, Value: { } posting })
            {
                return released.Error ?? BillingErrors.NoHold;
            }

            hold = (await FindAsync(command.HoldId, cancellationToken))!;
            if (hold.Status is ListHolds.HoldStatus.Settled)
            {
                return BillingErrors.HoldSettled;
            }

            if (!posting.Replayed)
            {
                await audit.NoteAsync(
                    "billing.hold_released", command.HoldId, new { hold.SubjectId, hold.Amount, command.Reason, posting.TransactionId }, cancellationToken, hold.TenantId);
            }

            return new Response(command.HoldId, hold.TenantId, hold.SubjectId, hold.Status, hold.Amount, Credits.Unit, posting.TransactionId, posting.Available);
        }

        private async Task<Hold?> FindAsync(string holdId, CancellationToken ct)
        {
            await using var query = new NpgsqlCommand("SELECT tenant_id, subject_id, amount, status FROM billing.holds WHERE id = $1", unit.Connection, unit.Transaction);
            query.Parameters.Add(new() { Value = holdId });
            await using var row = await query.ExecuteReaderAsync(ct);
            return await row.ReadAsync(ct) ? new(row.GetString(0), row.GetString(1), row.GetInt64(2), Words.Read<ListHolds.HoldStatus>(row.GetString(3))!.Value) : null;
        }

        private sealed record Hold(string TenantId, string SubjectId, long Amount, ListHolds.HoldStatus Status);
    }
}
