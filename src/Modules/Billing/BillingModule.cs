using VoicePlatform.Billing.Features;
using VoicePlatform.Billing.Ledger;

namespace VoicePlatform.Billing;

/// <summary>The credit ledger: holds, charges, rates, and what finance reads. Asks nobody.</summary>
public static class BillingModule
{
    public static IHostApplicationBuilder AddBilling(this IHostApplicationBuilder builder)
    {
        builder.Services.AddSlices(typeof(BillingModule).Assembly);
        builder.Services.AddScoped<LedgerPostings>();
        builder.Services.AddScoped<RateCards>();
        builder.Services.AddScoped<Reconciliation>();
        builder.Services.AddScoped<IScheduledJob, ReconcileDaily>();
        builder.Services.AddSingleton(new SignupCredits(
            builder.Configuration.GetValue<long?>("BILLING_SIGNUP_CREDITS") ?? (builder.Environment.IsDevelopment() ? 1000 : 0)));
        return builder;
    }

    public static IEndpointRouteBuilder MapBilling(this IEndpointRouteBuilder app)
    {
        var reading = app.MapGroup("/v1/billing").WithTags("Billing").RequireAuthorization(Scopes.Finance);
        GetBalance.Map(reading);
        ListTransactions.Map(reading);
        ListEntries.Map(reading);
        ListHolds.Map(reading);
        VerifyLedger.Map(reading);
        GetRates.Map(reading);
        GetStatement.Map(reading);
        ExportEntries.Map(reading);

        var operating = app.MapGroup("/v1/billing").WithTags("Billing").RequireAuthorization(Scopes.Platform);
        TopUp.Map(operating);
        ReverseTransaction.Map(operating);
        CreateRateCard.Map(operating);
        GetTrialBalance.Map(operating);
        GetReconciliation.Map(operating);
        return app;
    }
}

/// <summary>Whole credits given to a new tenant (BILLING_SIGNUP_CREDITS).</summary>
internal sealed record SignupCredits(long Credits);
