using Dapper;

namespace VoicePlatform.Billing.Features;

/// <summary>Promotional credits and what is left of them, newest first. Charges draw from them before bought credits, soonest expiring first.</summary>
internal static class ListGrants
{
    public enum GrantStatus { Active, Ended }

    public static void Map(RouteGroupBuilder billing) => billing
        .MapGet("/grants", async (int? limit, string? starting_after, [Words<GrantStatus>] string? status, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, new(limit, starting_after), status), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(ListGrants))
        .Produces<Page<Grant>>();

    public sealed record Query(string TenantId, PageQuery Page, string? Status) : IRequest<Result<Page<Grant>>>;

    /// <summary>Promotional credits that were given at once.</summary>
    public sealed record Grant
    {
        /// <summary>The transaction that gave them.</summary>
        public required string TransactionId { get; init; }

        /// <summary>Micro-credits.</summary>
        public long Amount { get; init; }

        /// <summary>What is not used, expired or reversed, in micro-credits.</summary>
        public long Remaining { get; init; }

        /// <summary>What was taken back because it was not used in time, in micro-credits.</summary>
        public long Expired { get; init; }

        public DateTimeOffset GrantedAt { get; init; }

        /// <summary>Null: never.</summary>
        public DateTimeOffset? ExpiresAt { get; init; }

        /// <summary>When nothing remained any more; null while something does.</summary>
        public DateTimeOffset? EndedAt { get; init; }
    }

    internal sealed class Handler(UnitOfWork unit) : IRequestHandler<Query, Result<Page<Grant>>>
    {
        public async Task<Result<Page<Grant>>> Handle(Query request, CancellationToken cancellationToken)
        {
            if ((request.Page.Refusal ?? Words.Refusal<GrantStatus>("status", request.Status)) is { } refusal)
            {
                return refusal;
            }

            var rows = (await (await unit.OpenAsync(cancellationToken)).QueryAsync<Grant>(new(
                """
                SELECT transaction_id, amount, remaining, expired, granted_at, expires_at, ended_at
                FROM billing.grants
                WHERE tenant_id = @TenantId AND (@Status IS NULL OR (@Status = 'ended') = (ended_at IS NOT NULL)) AND (@After IS NULL OR transaction_id < @After)
                ORDER BY transaction_id DESC LIMIT @Rows
                """,
                new { request.TenantId, request.Status, After = request.Page.StartingAfter, Rows = request.Page.Rows + 1 },
                cancellationToken: cancellationToken))).ToList();
            return Page<Grant>.Of(rows, request.Page.Rows, g => g.TransactionId);
        }
    }
}
