namespace VoicePlatform.Billing;

/// <summary>When the tenant is told that its credits run low.</summary>
/// <param name="LowBalance">Micro-credits; null: at the installation's threshold.</param>
/// <param name="Email">Who gets the mail; null: the tenant's contact address, or its owners and admins.</param>
/// <param name="Threshold">What holds now, in micro-credits: the tenant is told when posted + credit_limit falls below it.</param>
internal sealed record AlertsView(long? LowBalance, string? Email, long Threshold, string Unit);

/// <summary>The alerts with the revision that their entity tag tells.</summary>
internal sealed record AlertsAnswer(AlertsView Alerts, int Revision)
{
    public static IResult Tell(AlertsAnswer answer, HttpContext http) =>
        Etag.Answer(http, answer.Alerts, answer.Revision, StatusCodes.Status200OK, "/v1/billing/alerts");
}
