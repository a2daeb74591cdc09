using VoicePlatform.Billing.Ledger;

namespace VoicePlatform.Billing.Features;

/// <summary>The tenant's budgets, and what is spent of them in the running day and month (UTC).</summary>
internal static class GetBudgets
{
    public static void Map(RouteGroupBuilder billing) => billing
        .MapGet("/budgets", async (HttpContext http, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId), ct)).ToHttp(r => BudgetsAnswer.Tell(r, http)))
        .WithName(nameof(GetBudgets))
        .Produces<BudgetsView>();

    public sealed record Query(string TenantId) : IRequest<Result<BudgetsAnswer>>;

    internal sealed class Handler(Budgets budgets) : IRequestHandler<Query, Result<BudgetsAnswer>>
    {
        public async Task<Result<BudgetsAnswer>> Handle(Query request, CancellationToken cancellationToken) => await budgets.ReadAsync(request.TenantId, cancellationToken);
    }
}
