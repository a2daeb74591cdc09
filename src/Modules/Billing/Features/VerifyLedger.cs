using Npgsql;

namespace VoicePlatform.Billing.Features;

/// <summary>Recomputes the tenant's hash chain, sums and balances from its entries.</summary>
internal static class VerifyLedger
{
    public static void Map(RouteGroupBuilder billing) => billing
        .MapGet("/verify", async (Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(VerifyLedger))
        .Produces<Response>();

    public sealed record Query(string TenantId) : IRequest<Result<Response>>;

    /// <param name="FirstBroken">The id of the first transaction that does not add up, or "head"; null when all is well.</param>
    public sealed record Response(bool Ok, long Transactions, string? FirstBroken);

    internal sealed class Handler(UnitOfWork unit) : IRequestHandler<Query, Result<Response>>
    {
        /// <summary>Transactions a step: each is done well within a command's time, however long the chain.</summary>
        private const int AtOnce = 5000;

        public async Task<Result<Response>> Handle(Query request, CancellationToken cancellationToken)
        {
            var reached = new Step(0, 0, 0, null, false);
            while (!reached.IsOver)
            {
                reached = await GoOnAsync(request.TenantId, reached, cancellationToken);
            }

            return new Response(reached.FirstBroken is null, reached.Seq, reached.FirstBroken);
        }

        /// <summary>What is written stays: the next step may be read later than the one before.</summary>
        private async Task<Step> GoOnAsync(string tenantId, Step from, CancellationToken ct)
        {
            await using var query = new NpgsqlCommand(
                "SELECT seq, available, held, first_broken, is_over FROM billing.verify_step($1, $2, $3, $4, $5)", await unit.OpenAsync(ct), unit.Transaction);
            foreach (var value in new object[] { tenantId, from.Seq, from.Available, from.Held, AtOnce })
            {
                query.Parameters.Add(new() { Value = value });
            }

            await using var row = await query.ExecuteReaderAsync(ct);
            await row.ReadAsync(ct);
            return new(row.GetInt64(0), row.GetInt64(1), row.GetInt64(2), await row.IsDBNullAsync(3, ct) ? null : row.GetString(3), row.GetBoolean(4));
        }

        /// <param name="Seq">Transactions that were looked at.</param>
        private sealed record Step(long Seq, long Available, long Held, string? FirstBroken, bool IsOver);
    }
}
