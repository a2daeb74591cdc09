using VoicePlatform.Billing.Ledger;

namespace VoicePlatform.Billing.Features;

/// <summary>
/// Holds the ledger against the calls and sessions that began in a time (the last day, when nothing is said), or whose hold ended in it or is without an
/// end, and lists what differs.
/// </summary>
internal static class GetReconciliation
{
    private static readonly TimeSpan Longest = TimeSpan.FromDays(31);

    public static void Map(RouteGroupBuilder billing) => billing
        .MapGet("/reconciliation", async (DateTimeOffset? from, DateTimeOffset? to, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(from, to), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(GetReconciliation))
        .Produces<ReconciliationReport>();

    public sealed record Query(DateTimeOffset? From, DateTimeOffset? To) : IRequest<Result<ReconciliationReport>>;

    internal sealed class Handler(Reconciliation reconciliation, TimeProvider clock) : IRequestHandler<Query, Result<ReconciliationReport>>
    {
        public async Task<Result<ReconciliationReport>> Handle(Query request, CancellationToken cancellationToken)
        {
            var now = clock.GetUtcNow();
            var to = request.To?.ToUniversalTime() ?? now;
            if (to < DateTimeOffset.UnixEpoch + Longest || to > now.AddDays(1))
            {
                return Error.Field("to", "out_of_range", "'to' must be a time that conversations can have begun before.");
            }

            var from = request.From?.ToUniversalTime() ?? to.AddDays(-1);
            return from >= to ? Error.Field("from", "out_of_range", "'from' must be before 'to'.")
                : to - from > Longest ? Error.Field("from", "out_of_range", $"'from' and 'to' may be {Longest.TotalDays} days apart.")
                : await reconciliation.RunAsync(from, to, cancellationToken);
        }
    }
}
