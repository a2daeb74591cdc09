using Microsoft.AspNetCore.Authentication;
using VoicePlatform.Tenants.Data;
using VoicePlatform.Tenants.Events;
using VoicePlatform.Tenants.Features;
using VoicePlatform.Tenants.Keys;
using VoicePlatform.Tenants.Mail;
using VoicePlatform.Tenants.Schedule;

namespace VoicePlatform.Tenants;

/// <summary>Who may ask, and what they are told: tenants, users, API keys; the event log, webhook endpoints and deliveries.</summary>
public static class TenantModule
{
    public static IHostApplicationBuilder AddTenant(this IHostApplicationBuilder builder)
    {
        builder.Services.AddSlices(typeof(TenantModule).Assembly);
        builder.Services.AddModuleDb<TenantDb>(options => new TenantDb(options));
        builder.Services.AddScoped<KeyRing>();
        builder.Services.AddOptions<TenantOptions>().Configure<IConfiguration>((o, c) => o.Read(c, builder.Environment.IsDevelopment())).ValidateOnStart();

        builder.Services.AddAuthentication(ApiKeyAuthentication.Scheme)
            .AddScheme<AuthenticationSchemeOptions, ApiKeyAuthentication>(ApiKeyAuthentication.Scheme, null);
        builder.Services.AddAuthorization(ApiKeyAuthentication.AddScopePolicies);

        builder.Services.AddKeyedSingleton<WakeUp>(typeof(EventSequencer));
        builder.Services.AddKeyedSingleton<WakeUp>(typeof(Replayer));
        builder.Services.AddSingleton<DueLanes>();
        builder.Services.AddSingleton<DeliveryQueue>();
        builder.Services.AddSingleton<DeliveryAttempt>();
        builder.Services.AddScoped<EventLog>();
        builder.Services.AddScoped<WebhookHealth>();
        builder.Services.AddHostedService<EventSequencer>();
        builder.Services.AddHostedService<WebhookSender>();
        builder.Services.AddHostedService<Replayer>();
        builder.Services.AddScoped<IGauges, WebhookMetrics>();
        builder.Services.AddSingleton<OutboundGuard>();

        builder.Services.AddOptions<MailOptions>().Configure<IConfiguration>((o, c) => o.Read(c)).ValidateOnStart();
        builder.Services.AddKeyedSingleton<WakeUp>(typeof(MailSender));
        builder.Services.AddSingleton<SmtpPost>();
        builder.Services.AddHostedService<MailSender>();

        builder.Services.AddSingleton(new SealedColumn("tenant.secrets", "value", "'secret:' || tenant_id || ':' || name"));
        builder.Services.AddSingleton(new SealedColumn("tenant.webhooks", "secret"));
        builder.Services.AddSingleton(new SealedColumn("tenant.webhooks", "previous_secret"));
        builder.Services.AddScoped<IScheduledJob, CheckWebhooks>();
        builder.Services.AddScoped<IScheduledJob, ClearOutEvents>();
        builder.Services.AddScoped<IScheduledJob, TellOfExpiringKeys>();
        builder.Services.AddHttpClient(TenantHttp.Client)
            .ConfigurePrimaryHttpMessageHandler(p => p.GetRequiredService<OutboundGuard>().NewHandler())
            .SetHandlerLifetime(Timeout.InfiniteTimeSpan)
            .RemoveAllLoggers();
        return builder;
    }

    public static IEndpointRouteBuilder MapTenant(this IEndpointRouteBuilder app)
    {
        SignUp.Map(app);

        var keys = app.MapGroup("/v1/keys").WithTags("Keys").RequireAuthorization(Scopes.Admin);
        CreateKey.Map(keys);
        ListKeys.Map(keys);
        GetKey.Map(keys);
        RotateKey.Map(keys);
        RevokeKey.Map(keys);

        GetTenant.Map(app.MapGroup("/v1/tenant").WithTags("Tenant").RequireAuthorization(Scopes.Read));
        UpdateTenant.Map(app.MapGroup("/v1/tenant").WithTags("Tenant").RequireAuthorization(Scopes.Admin));

        var users = app.MapGroup("/v1/users").WithTags("Users").RequireAuthorization(Scopes.Admin);
        CreateUser.Map(users);
        ListUsers.Map(users);
        GetUser.Map(users);
        UpdateUser.Map(users);
        DeleteUser.Map(users);

        ListAudit.Map(app.MapGroup("/v1/audit").WithTags("Audit").RequireAuthorization(Scopes.Admin));

        var secrets = app.MapGroup("/v1/secrets").WithTags("Secrets").RequireAuthorization(Scopes.Admin);
        PutSecret.Map(secrets);
        GetSecret.Map(secrets);
        ListSecrets.Map(secrets);
        DeleteSecret.Map(secrets);

        var tenants = app.MapGroup("/v1/tenants").WithTags("Tenants").RequireAuthorization(Scopes.Platform);
        CreateTenant.Map(tenants);
        IssueTenantKey.Map(tenants);
        ListTenants.Map(tenants);

        var webhooks = app.MapGroup("/v1/webhooks").WithTags("Webhooks").RequireAuthorization(Scopes.Admin);
        CreateWebhook.Map(webhooks);
        ListWebhooks.Map(webhooks);
        ListEventTypes.Map(webhooks);
        GetWebhook.Map(webhooks);
        UpdateWebhook.Map(webhooks);
        DeleteWebhook.Map(webhooks);
        RotateWebhookSecret.Map(webhooks);
        TestWebhook.Map(webhooks);
        ListDeliveries.Map(webhooks);
        ReplayWebhook.Map(webhooks);

        var deliveries = app.MapGroup("/v1/deliveries").WithTags("Webhooks").RequireAuthorization(Scopes.Admin);
        GetDelivery.Map(deliveries);
        ReplayDelivery.Map(deliveries);

        ListEvents.Map(app.MapGroup("/v1/events").WithTags("Events").RequireAuthorization(Scopes.FinanceOrRead));
        GetEvent.Map(app.MapGroup("/v1/events").WithTags("Events").RequireAuthorization(Scopes.Read));
        return app;
    }
}
