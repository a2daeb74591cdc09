namespace VoicePlatform.Billing;

internal static class BillingErrors
{
    public static readonly Error NotCovered = new(ErrorKind.PaymentRequired, "billing.insufficient_credits", "The tenant's credits do not cover this.");
    public static readonly Error TooLarge = new(ErrorKind.Invalid, "billing.amount_too_large", "This would cost more than a billion credits: no posting carries that much.");
    public static readonly Error CardInThePast = Error.Field("valid_from", "in_the_past", "'valid_from' must not be in the past: what was accepted has its price.");
    public static readonly Error TooManyPrices = Error.Field("rates", "too_many", "A rate card holds 5000 prices at most, those that it takes over with it.");
    public static readonly Error UnknownTenant = Error.Field("tenant_id", "not_found", "No such tenant.");
    public static readonly Error NoTransaction = new(ErrorKind.NotFound, "billing.transaction_not_found", "No such transaction.");
    public static readonly Error NoHold = new(ErrorKind.NotFound, "billing.hold_not_found", "No such hold.");
    public static readonly Error HoldInUse = new(ErrorKind.Conflict, "billing.hold_in_use", "The hold's conversation goes on: end it, and it settles the hold.");
    public static readonly Error HoldSettled = new(ErrorKind.Conflict, "billing.hold_settled", "The hold was settled: a charge is taken back with a reversal.");
    public static readonly Error NotReversible = new(ErrorKind.Conflict, "billing.not_reversible", "Only top-ups, promotional credits, charges and adjustments can be reversed; a hold ends with its call or session.");
    public static readonly Error AlreadyReversed = new(ErrorKind.Conflict, "billing.already_reversed", "The transaction is reversed already.");
    public static readonly Error SpentAlready = new(ErrorKind.Conflict, "billing.reversal_not_covered", "The tenant has spent what this would take back: what is available would fall below the account's limit.");
    public static readonly Error ExpiredAlready = new(ErrorKind.Conflict, "billing.expired_already", "These credits have expired, so they were taken back.");
    public static readonly Error ReferenceUsed = new(ErrorKind.Conflict, "billing.reference_used", "The external reference stands for other credits: of another amount or kind, or that expire or were paid at another time.");
    public static readonly Error NoStatement = new(ErrorKind.NotFound, "billing.statement_not_found", "There is no such statement: a month is written as 2026-11, and has begun.");

    /// <param name="which">Names the budget, for people.</param>
    public static Error BudgetExceeded(string which) => new(ErrorKind.PaymentRequired, "billing.budget_exceeded", which);
}
