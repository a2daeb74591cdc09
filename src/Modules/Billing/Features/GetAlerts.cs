using VoicePlatform.Billing.Ledger;

namespace VoicePlatform.Billing.Features;

/// <summary>When and to whom it is told that credits run low.</summary>
internal static class GetAlerts
{
    public static void Map(RouteGroupBuilder billing) => billing
        .MapGet("/alerts", async (HttpContext http, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId), ct)).ToHttp(r => AlertsAnswer.Tell(r, http)))
        .WithName(nameof(GetAlerts))
        .Produces<AlertsView>();

    public sealed record Query(string TenantId) : IRequest<Result<AlertsAnswer>>;

    internal sealed class Handler(BalanceAlerts alerts) : IRequestHandler<Query, Result<AlertsAnswer>>
    {
        public async Task<Result<AlertsAnswer>> Handle(Query request, CancellationToken cancellationToken)
        {
            var (view, revision) = await alerts.ReadAsync(request.TenantId, cancellationToken);
            return new AlertsAnswer(view, revision);
        }
    }
}
