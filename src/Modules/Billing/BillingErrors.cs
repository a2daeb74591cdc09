namespace VoicePlatform.Billing;

internal static class BillingErrors
{
    public static readonly Error NotCovered = new(ErrorKind.PaymentRequired, "billing.insufficient_credits", "The tenant's credits do not cover this.");
    public static readonly Error UnknownTenant = Error.Field("tenant_id", "not_found", "No such tenant.");
}
