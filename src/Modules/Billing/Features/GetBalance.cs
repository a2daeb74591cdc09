using System.Text.Json.Serialization;
using Npgsql;
using VoicePlatform.Billing.Ledger;

namespace VoicePlatform.Billing.Features;

/// <summary>What the tenant has: posted = available + held. With ?at= as it was at that instant, for ever.</summary>
internal static class GetBalance
{
    public static void Map(RouteGroupBuilder billing) => billing
        .MapGet("/balance", async (DateTimeOffset? at, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, at), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(GetBalance))
        .Produces<Response>();

    public sealed record Query(string TenantId, DateTimeOffset? At) : IRequest<Result<Response>>;

    /// <param name="CreditLimit">How far below zero the tenant may spend, in micro-credits; only of the present balance.</param>
    /// <param name="Spendable">available + credit_limit, not below 0, in micro-credits; only of the present balance.</param>
    public sealed record Response(
        long Posted,
        long Held,
        long Available,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? CreditLimit,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? Spendable,
        string Unit,
        DateTimeOffset AsOf);

    internal sealed class Handler(UnitOfWork unit, Past past, TimeProvider clock) : IRequestHandler<Query, Result<Response>>
    {
        // One index probe for each account, however many entries there are.
        private const string Past =
            """
            SELECT coalesce((SELECT balance_after FROM billing.entries WHERE tenant_id = $1 AND account = 'available' AND posted_at <= $2
                             ORDER BY posted_at DESC, seq DESC, position DESC LIMIT 1), 0),
                   coalesce((SELECT balance_after FROM billing.entries WHERE tenant_id = $1 AND account = 'held' AND posted_at <= $2
                             ORDER BY posted_at DESC, seq DESC, position DESC LIMIT 1), 0)
            """;

        public async Task<Result<Response>> Handle(Query request, CancellationToken cancellationToken)
        {
            if (request.At is { } asked && !await past.CloseAsync(request.TenantId, asked, cancellationToken))
            {
                return Error.Field("at", "in_the_future", "'at' must be over: what will be is not known.");
            }

            await using var query = new NpgsqlCommand(
                request.At is null ? "SELECT available, held, credit_limit FROM billing.heads WHERE tenant_id = $1" : Past, await unit.OpenAsync(cancellationToken));
            query.Parameters.Add(new() { Value = request.TenantId });
            if (request.At is { } at)
            {
                query.Parameters.Add(new() { Value = at.ToUniversalTime() });
            }

            await using var row = await query.ExecuteReaderAsync(cancellationToken);
            var isThere = await row.ReadAsync(cancellationToken);
            var (available, held) = isThere ? (row.GetInt64(0), row.GetInt64(1)) : (0, 0);
            long? limit = request.At is not null ? null : isThere ? row.GetInt64(2) : 0;
            long? spendable = limit is null ? null : Math.Max(available + limit.Value, 0);
            return new Response(available + held, held, available, limit, spendable, Credits.Unit, request.At ?? clock.GetUtcNow());
        }
    }
}
