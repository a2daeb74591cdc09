using System.Globalization;
using Npgsql;
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
        builder.Services.AddScoped<ProviderCosts>();
        builder.Services.AddScoped<Budgets>();
        builder.Services.AddScoped<BalanceAlerts>();
        builder.Services.AddScoped<Reconciliation>();
        builder.Services.AddScoped<Past>();
        builder.Services.AddScoped<IScheduledJob, ReconcileDaily>();
        builder.Services.AddScoped<IScheduledJob, ExpireGrants>();
        builder.Services.AddScoped<IScheduledJob, ExpireHolds>();
        builder.Services.AddScoped<IScheduledJob, CloseStatements>();
        builder.Services.AddScoped<IScheduledJob, ChargeNumbers>();
        builder.Services.AddSingleton(new SignupCredits(
            builder.Configuration.GetValue<long?>("BILLING_SIGNUP_CREDITS") ?? (builder.Environment.IsDevelopment() ? 1000 : 0)));
        builder.Services.AddSingleton(LowBalanceOf(builder.Configuration));
        return builder;
    }

    /// <summary>
    /// Recomputes all tenants' chains and balances, or one's, apart from the database's own billing.verify: a line for each that is broken, then a summary.
    /// </summary>
    /// <param name="tenantId">Null: all.</param>
    /// <returns>Whether all holds; false also where the ledger does not know the tenant.</returns>
    public static async Task<bool> VerifyLedgerAsync(NpgsqlDataSource source, string? tenantId, TextWriter output, CancellationToken ct)
    {
        var (tenants, transactions, entries, broken) = (0L, 0L, 0L, 0L);
        await foreach (var verdict in new LedgerVerifier(source).VerifyAsync(tenantId, ct))
        {
            (tenants, transactions, entries) = (tenants + 1, transactions + verdict.Transactions, entries + verdict.Entries);
            if (verdict.Problem is { } problem)
            {
                broken++;
                await output.WriteLineAsync($"{verdict.TenantId}: {problem}");
            }
        }

        if (tenants == 0 && tenantId is not null)
        {
            await output.WriteLineAsync($"The ledger knows no tenant {tenantId}.");
            return false;
        }

        await output.WriteLineAsync($"tenants {tenants}, transactions {transactions}, entries {entries}: {(broken == 0 ? "all holds" : $"{broken} broken")}");
        return broken == 0;
    }

    /// <summary>Holds the ledger against the conversations of a time, as the nightly run does: a line for each difference, then a summary.</summary>
    /// <param name="services">The host's, with the modules that own conversations.</param>
    /// <param name="from">Null: three days before <paramref name="until"/>.</param>
    /// <param name="until">Not in it; null: now.</param>
    /// <returns>Whether all agrees.</returns>
    /// <exception cref="InvalidOperationException">There is no such time, in a sentence for whoever asked.</exception>
    public static async Task<bool> ReconcileAsync(IServiceProvider services, DateTimeOffset? from, DateTimeOffset? until, TextWriter output, CancellationToken ct)
    {
        await using var scope = services.CreateAsyncScope();
        var to = until ?? scope.ServiceProvider.GetRequiredService<TimeProvider>().GetUtcNow();
        var start = from ?? to - ReconcileDaily.Looked;
        if (start < DateTimeOffset.UnixEpoch || start >= to)
        {
            throw new InvalidOperationException("The time to reconcile begins before it ends, and not before 1970.");
        }

        var reconciled = await scope.ServiceProvider.GetRequiredService<Reconciliation>().RunAsync(start, to, ct);
        if (!reconciled.IsOk)
        {
            throw new InvalidOperationException(reconciled.Error.Code);
        }

        var report = reconciled.Value;
        foreach (var d in report.Differences)
        {
            await output.WriteLineAsync($"{d.What}: {d.SubjectId} of {d.TenantId}, charged {Told(d.Charged)}, cost {Told(d.Cost)}");
        }

        var differences = report.DifferenceCount switch
        {
            0 => "all agrees",
            1 => "1 difference",
            var many when many > report.Differences.Count => $"{many} differences, of which the first {report.Differences.Count} are listed",
            var many => $"{many} differences",
        };
        await output.WriteLineAsync($"conversations {report.Conversations}, holds {report.Holds}: {differences}");
        return report.Ok;

        static string Told(long? amount) => amount?.ToString(CultureInfo.InvariantCulture) ?? "nothing";
    }

    public static IEndpointRouteBuilder MapBilling(this IEndpointRouteBuilder app)
    {
        var reading = app.MapGroup("/v1/billing").WithTags("Billing").RequireAuthorization(Scopes.Finance);
        GetBalance.Map(reading);
        ListTransactions.Map(reading);
        ListEntries.Map(reading);
        ListHolds.Map(reading);
        VerifyLedger.Map(reading);
        ListGrants.Map(reading);
        GetRates.Map(reading);
        GetStatement.Map(reading);
        ExportEntries.Map(reading);

        var looking = app.MapGroup("/v1/billing").WithTags("Billing").RequireAuthorization(Scopes.FinanceOrAdmin);
        GetBudgets.Map(looking);
        GetAlerts.Map(looking);

        var deciding = app.MapGroup("/v1/billing").WithTags("Billing").RequireAuthorization(Scopes.Admin);
        PutBudgets.Map(deciding);
        PutAlerts.Map(deciding);

        var operating = app.MapGroup("/v1/billing").WithTags("Billing").RequireAuthorization(Scopes.Platform);
        TopUp.Map(operating);
        SetCreditLimit.Map(operating);
        ReverseTransaction.Map(operating);
        ReleaseHold.Map(operating);
        CreateRateCard.Map(operating);
        GetTrialBalance.Map(operating);
        GetReconciliation.Map(operating);
        return app;
    }

    private static LowBalance LowBalanceOf(IConfiguration configuration)
    {
        const long Default = 10;
        return configuration["BILLING_LOW_BALANCE"] switch
        {
            null or "" => new(Default),
            { } text when long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var credits) && credits <= Credits.Max / Credits.One => new(credits),
            var other => throw new InvalidOperationException($"BILLING_LOW_BALANCE is '{other}'; set it to whole credits from 0 to {Credits.Max / Credits.One}."),
        };
    }
}

/// <summary>Whole credits given to a new tenant (BILLING_SIGNUP_CREDITS).</summary>
internal sealed record SignupCredits(long Credits);
