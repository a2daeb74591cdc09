namespace VoicePlatform.Billing;

/// <summary>How long a budget lasts, in UTC.</summary>
internal enum BudgetPeriod
{
    /// <summary>From midnight to midnight.</summary>
    Day,

    /// <summary>The month of the calendar.</summary>
    Month,
}

/// <summary>All budgets of the tenant.</summary>
internal sealed record BudgetsView(IReadOnlyList<BudgetView> Budgets, string Unit);

/// <summary>A budget and what has become of it in the running day or month: amount = spent + held + remaining.</summary>
/// <param name="AssistantId">Null: of all assistants together.</param>
/// <param name="Amount">Micro-credits.</param>
/// <param name="Spent">Charged for conversations that were accepted in this time, in micro-credits.</param>
/// <param name="Held">Reserved for those of them that still run, in micro-credits.</param>
/// <param name="Remaining">Micro-credits; 0 where a budget was lowered below what is spent and held.</param>
internal sealed record BudgetView(string? AssistantId, BudgetPeriod Per, long Amount, long Spent, long Held, long Remaining);

/// <summary>The budgets with the revision that their entity tag tells.</summary>
internal sealed record BudgetsAnswer(BudgetsView Budgets, int Revision)
{
    public static IResult Tell(BudgetsAnswer answer, HttpContext http) =>
        Etag.Answer(http, answer.Budgets, answer.Revision, StatusCodes.Status200OK, "/v1/billing/budgets");
}
