using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Connections;
using Npgsql;
using VoicePlatform.Agent;
using VoicePlatform.Assistants;
using VoicePlatform.Billing;
using VoicePlatform.Calls;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Host.Mcp;
using VoicePlatform.Host.OpenApi;
using VoicePlatform.LiveKit.Rtc;
using VoicePlatform.MediaServer;
using VoicePlatform.Sessions;
using VoicePlatform.SharedKernel.Outbox;
using VoicePlatform.Tenants;
using VoicePlatform.Trunks;

namespace VoicePlatform.Host;

/// <summary>The system's table of contents: what the host is made of, in the order in which it starts.</summary>
internal static class StartUp
{
    /// <summary>.NET ends the process without a word of ours when it needs OpenSSL and finds none; the embedded server's DTLS needs it too.</summary>
    private const string OpenSsl = "libssl.so.3";

    public static async Task<int> RunAsync(string[] args)
    {
        if (OperatingSystem.IsLinux() && !NativeLibrary.TryLoad(OpenSsl, out _))
        {
            throw new SettingsException($"The system library {OpenSsl} is missing: install the package libssl3.");
        }

        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { Args = args, EnvironmentName = EnvironmentName(), ContentRootPath = AppContext.BaseDirectory });
        if (args is ["openapi", var folder])
        {
            await OpenApiStartUp.WriteApiDocumentsAsync(builder, folder);
            return 0;
        }

        var settings = new Settings(builder.Configuration);
        if (args is ["migrate"])
        {
            await using var owner = Settings.DataSource(settings.MigrateDatabaseUrl);
            foreach (var name in await Migrations.ApplyAsync(owner, CancellationToken.None))
            {
                Console.WriteLine($"applied {name}");
            }

            return 0;
        }

        if (args is ["verify-ledger"] or ["verify-ledger", _])
        {
            await using var source = Settings.DataSource(settings.DatabaseUrl);
            return await BillingModule.VerifyLedgerAsync(source, args.ElementAtOrDefault(1), Console.Out, CancellationToken.None) ? 0 : 1;
        }

        var period = args is ["reconcile", .. var options] ? Period(options) : null;
        await using var app = Build(builder, settings);
        if (await Migrations.MissingAsync(app.Services.GetRequiredService<NpgsqlDataSource>(), CancellationToken.None) is { } missing)
        {
            throw new SettingsException($"The database lacks migration {missing}: run the host with 'migrate' first.");
        }

        if (period is var (from, until))
        {
            return await BillingModule.ReconcileAsync(app.Services, from, until, Console.Out, CancellationToken.None) ? 0 : 1;
        }

        await SharedConnections.CheckAsync(app.Services.GetRequiredService<NpgsqlDataSource>(), CancellationToken.None);
        await DatabaseRole.CheckAsync(app.Services.GetRequiredService<NpgsqlDataSource>(), settings.IsDevelopment, app.Logger, CancellationToken.None);

        // A library that is missing is better known now than with the first caller.
        _ = app.Services.GetRequiredService<RtcEngine>();
        await app.RunAsync();
        return 0;
    }

    /// <param name="change">For tests: a last word on the services.</param>
    public static WebApplication Build(WebApplicationBuilder builder, Settings settings, Action<IServiceCollection>? change = null)
    {
        builder.Configuration["PLATFORM_ADMIN_KEY"] = settings.PlatformAdminKey();
        builder.Configuration["DATA_DIR"] = settings.DataDir;
        builder.Configuration["PUBLIC_URL"] = settings.PublicUrl;
        builder.WebHost.UseUrls(settings.Urls.Split(';'));
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = 1024 * 1024;
        });
        builder.Host.ConfigureHostOptions(o => o.ShutdownTimeout = TimeSpan.FromSeconds(90));

        builder.Services.AddSharedKernel();
        builder.Services.AddSingleton(settings);
        builder.Services.AddSingleton(settings.SecretBox());
        builder.Services.AddSingleton(settings.LiveKit());
        builder.Services.AddSingleton(new PublicMediaUrl(settings.LiveKitPublicUrl));
        builder.Services.AddSingleton(_ => Settings.DataSource(settings.DatabaseUrl));
        builder.Services.AddSingleton(new EventCatalog(typeof(SessionEnded).Assembly));
        builder.Services.AddSingleton(_ => new RateLimits(settings.RateLimitPerKey, settings.RateLimitSignUp));
        builder.Services.AddHttpClient(McpEndpoint.Client, client => client.BaseAddress = new Uri(settings.LocalUrl));
        builder.Services.AddExceptionHandler<Failures>();
        builder.Services.AddProblemDetails();
        builder.Services.AddApiDocuments();
        builder.Services.AddSingleton<Metrics>();
        builder.Services.Configure<RouteHandlerOptions>(o => o.ThrowOnBadRequest = true);
        builder.Services.ConfigureHttpJsonOptions(o => Json.Configure(o.SerializerOptions));

        // Before the agent: its worker finds the server listening. Stopped after it, so that conversations can end in their rooms.
        if (settings.IsEmbedded)
        {
            builder.AddEmbeddedLiveKit(settings);
            builder.Services.AddSingleton<TestTelephone>();
            builder.Services.AddHostedService(p => p.GetRequiredService<TestTelephone>());
            builder.Services.AddSingleton(p => new TestLine(p.GetRequiredService<TestTelephone>().Address));
        }
        else
        {
            builder.Services.AddSingleton(new TestLine(() => null));
        }

        builder.Services.AddScheduler();
        builder.AddTenant().AddAssistant().AddSession().AddTrunk().AddCall().AddBilling().AddAgent();

        change?.Invoke(builder.Services);
        var app = builder.Build();
        _ = app.Services.GetRequiredService<Metrics>();     // It counts from the first request on.
        app.UseTrustedProxies(settings);
        app.UseRequestIds();
        app.UseExceptionHandler();
        app.UseStatusCodePages(StatusPages.WriteAsync);
        app.UseDocsPage();
        app.UseCors();
        app.UseAuthentication();
        app.UseRateLimits();
        app.UseAuthorization();
        app.UseReadableRequests();
        app.UseIdempotencyKeys();
        app.MapHealth();
        app.MapMcp();
        app.MapApiDocuments();
        app.MapMetrics();
        app.MapTenant().MapAssistant().MapSession().MapTrunk().MapCall().MapBilling();
        return app;
    }

    /// <summary>One sentence about what stops the start; null for what is a bug.</summary>
    public static string? Explain(Exception e) => e switch
    {
        SettingsException => e.Message,
        RtcException => $"LIVEKIT_FFI_LIBRARY cannot be used: {e.Message}",
        AggregateException { InnerExceptions: [var only] } => Explain(only),
        InvalidOperationException when e.Source is "VoicePlatform.MediaServer" or "VoicePlatform.Agent" or "VoicePlatform.Tenants" or "VoicePlatform.Calls" or "VoicePlatform.Sessions" or "VoicePlatform.Billing" => e.Message,
        InvalidOperationException when e.Source is "Microsoft.Extensions.Configuration.Binder" => e.Message,     // It names the setting and its value.
        PostgresException p when p.SqlState is PostgresErrorCodes.InvalidPassword or PostgresErrorCodes.InvalidAuthorizationSpecification =>
            $"The database refuses us ({p.MessageText}): check user and password in DATABASE_URL.",
        PostgresException { SqlState: PostgresErrorCodes.InvalidCatalogName } p => $"{p.MessageText}: create it, or name another in DATABASE_URL.",
        NpgsqlException { InnerException: SocketException s } => $"The database does not answer ({s.Message}): start it, or correct DATABASE_URL.",
        NpgsqlException { InnerException: TimeoutException } or Migrations.NoAnswerException => "The database does not answer in time: look after it, or correct DATABASE_URL.",
        IOException { InnerException: AddressInUseException } => $"{e.Message} Set PORT (or URLS) to a free one, or end what uses it.",
        _ => null,
    };

    /// <summary>What `reconcile` is to look at: --from and --until, each a date or time in UTC.</summary>
    private static (DateTimeOffset? From, DateTimeOffset? Until)? Period(string[] options)
    {
        (DateTimeOffset? From, DateTimeOffset? Until) period = default;
        foreach (var option in options.Chunk(2))
        {
            if (option is not ["--from" or "--until", var text]
                || !DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var at))
            {
                throw new SettingsException($"'{string.Join(' ', option)}' is not understood: reconcile [--from DATE] [--until DATE], as in --from 2026-11-01.");
            }

            period = option[0] is "--from" ? period with { From = at } : period with { Until = at };
        }

        return period;
    }

    private static string EnvironmentName() =>
        Environment.GetEnvironmentVariable("VOICEPLATFORM_ENV") == "production" ? Environments.Production : Environments.Development;

    private static void AddEmbeddedLiveKit(this WebApplicationBuilder builder, Settings settings)
    {
        settings.CheckBind();
        var key = settings.LiveKit().Key;
        var options = new MediaServerOptions
        {
            ApiKeys = new Dictionary<string, string> { [key.Id] = key.Secret },
            Bind = settings.Bind,
            Port = settings.LiveKitPort,
            MediaUdpPort = settings.MediaUdpPort,
            PublicAddress = settings.PublicAddress,
            Sip = new SipOptions { Port = settings.SipPort, RtpPorts = settings.SipRtpPorts },
            Recordings = new RecordingOptions
            {
                Root = settings.DataDir,
                StorageKey = builder.Configuration["AWS_ACCESS_KEY_ID"],
                StorageSecret = builder.Configuration["AWS_SECRET_ACCESS_KEY"],
            },
            WebhookUrls = [new Uri($"{settings.LocalUrl}/livekit/webhook")],
        };
        builder.Services.AddEmbeddedLiveKit(options);
    }
}
