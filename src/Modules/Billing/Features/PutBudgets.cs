using VoicePlatform.Billing.Ledger;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Billing.Features;

/// <summary>
/// Replaces all budgets of the tenant: what conversations may cost a day or a month (UTC), in all or by one assistant. New conversations that do
/// not fit are refused, and those that run end as if credits had run out. A conversation counts for the day on which it was accepted. It holds at once.
/// </summary>
internal static class PutBudgets
{
    private const int MaxBudgets = 1000;

    public static void Map(RouteGroupBuilder billing) => billing
        .MapPut("/budgets", async (Body body, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(body.Budgets, Etag.Wanted(http)), ct)).ToHttp(r => BudgetsAnswer.Tell(r, http)))
        .WithName(nameof(PutBudgets))
        .Produces<BudgetsView>();

    /// <param name="Budgets">One for an assistant and a period at most, up to 1000; none takes all budgets away.</param>
    public sealed record Body(IReadOnlyList<NewBudget>? Budgets);

    /// <param name="Amount">Micro-credits; 0 lets nothing through.</param>
    /// <param name="AssistantId">Left out or null: for all assistants together.</param>
    public sealed record NewBudget(BudgetPeriod? Per, long? Amount, string? AssistantId = null);

    public sealed record Command(IReadOnlyList<NewBudget>? Budgets, string IfMatch) : ICommand<BudgetsAnswer>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Budgets).NotNull().Must(b => b is null || b.Count <= MaxBudgets).WithMessage($"'budgets' must hold up to {MaxBudgets} budgets.");
            RuleForEach(c => c.Budgets).NotNull().ChildRules(budget =>
            {
                budget.RuleFor(b => b.Per).NotNull();
                budget.RuleFor(b => b.Amount).NotNull().InclusiveBetween(0, Credits.Max).WithMessage($"'amount' must be from 0 to {Credits.Max} micro-credits.");
                budget.RuleFor(b => b.AssistantId).Must(id => id is null || Ids.IsWellFormed(id, Ids.Assistant)).WithMessage("'assistant_id' must be an assistant's id.");
            });
        }
    }

    internal sealed class Handler(Budgets budgets, IMediator mediator, Caller caller, AuditLog audit) : IRequestHandler<Command, Result<BudgetsAnswer>>
    {
        public async Task<Result<BudgetsAnswer>> Handle(Command command, CancellationToken cancellationToken)
        {
            var wanted = command.Budgets!;
            var named = wanted.Select(b => b.AssistantId).OfType<string>().Distinct().ToList();
            var known = await mediator.Send(new PickAssistants(caller.TenantId, named), cancellationToken);
            if (!known.IsOk)
            {
                return known.Error;
            }

            var theirs = known.Value.ToHashSet(StringComparer.Ordinal);
            var seen = new HashSet<(string?, BudgetPeriod?)>();
            for (var i = 0; i < wanted.Count; i++)
            {
                if (wanted[i].AssistantId is { } id && !theirs.Contains(id))
                {
                    return Error.Field($"budgets[{i}].assistant_id", "not_found", "No such assistant.");
                }

                if (!seen.Add((wanted[i].AssistantId, wanted[i].Per)))
                {
                    return Error.Field($"budgets[{i}]", "repeated", "An assistant has one budget for a period, and so have all together.");
                }
            }

            var revision = await budgets.ReplaceAsync(caller.TenantId, wanted.Select(b => (b.AssistantId, b.Per!.Value, b.Amount!.Value)), cancellationToken);

            // The replacing took the lock, so nobody comes between; a refusal takes it back.
            if (Etag.Refusal(command.IfMatch, revision - 1) is { } changed)
            {
                return changed;
            }

            await audit.NoteAsync("billing.budgets_set", caller.TenantId, new { budgets = wanted }, cancellationToken);
            return await budgets.ReadAsync(caller.TenantId, cancellationToken);
        }
    }
}
