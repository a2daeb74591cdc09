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
        public async Task<Result<Response>> Handle(Query request, CancellationToken cancellationToken)
        {
            await using var query = new NpgsqlCommand("SELECT transactions, first_broken FROM billing.verify($1)", await unit.OpenAsync(cancellationToken));
            query.Parameters.Add(new() { Value = request.TenantId });
            await using var row = await query.ExecuteReaderAsync(cancellationToken);
            await row.ReadAsync(cancellationToken);
            var broken = row.IsDBNull(1) ? null : row.GetString(1);
            return new Response(broken is null, row.GetInt64(0), broken);
        }
    }
}
