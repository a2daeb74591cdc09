using Microsoft.AspNetCore.Cors.Infrastructure;
using Microsoft.Extensions.Options;
using VoicePlatform.LiveKit;
using VoicePlatform.LiveKit.ServerApi;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.LiveKit.Webhooks;
using VoicePlatform.Sessions.Analysis;
using VoicePlatform.Sessions.Compat;
using VoicePlatform.Sessions.Data;
using VoicePlatform.Sessions.Features;
using VoicePlatform.Sessions.Retention;

namespace VoicePlatform.Sessions;

/// <summary>Every conversation, whatever it came by: its room and token, turns, transcript, usage, and its end, once.</summary>
public static class SessionModule
{
    public static IHostApplicationBuilder AddSession(this IHostApplicationBuilder builder)
    {
        builder.Services.AddSlices(typeof(SessionModule).Assembly);
        builder.Services.AddModuleDb<SessionDb>(options => new SessionDb(options));
        builder.Services.AddHttpClient<LiveKitApi>();
        builder.Services.AddScoped<IGauges, SessionMetrics>();
        builder.Services.AddSingleton(p => new WebhookReceiver(new TokenVerifier(p.GetRequiredService<LiveKitServer>().Key, p.GetRequiredService<TimeProvider>())));
        builder.Services.AddScoped<SessionRooms>();
        builder.Services.AddHostedService<SessionSweeper>();
        builder.Services.AddKeyedSingleton<WakeUp>(typeof(Analyst));
        builder.Services.AddHostedService<Analyst>();
        builder.Services.AddScoped<IScheduledJob, ForgetConversations>();

        builder.Services.AddCors();
        builder.Services.AddOptions<CompatOptions>().Configure<IConfiguration>((o, c) => o.Read(c, builder.Environment.IsDevelopment())).ValidateOnStart();
        builder.Services.AddSingleton<CompatTenant>();
        builder.Services.AddHostedService(p => p.GetRequiredService<CompatTenant>());
        builder.Services.AddHostedService<WatchedRooms>();
        builder.Services.AddHttpClient<AiServer>(http => http.Timeout = Timeout.InfiniteTimeSpan)
            .ConfigurePrimaryHttpMessageHandler(() => new SocketsHttpHandler { AllowAutoRedirect = false });
        return builder;
    }

    public static IEndpointRouteBuilder MapSession(this IEndpointRouteBuilder app)
    {
        var talking = app.MapGroup("/v1/sessions").WithTags("Sessions").RequireAuthorization(Scopes.Operate);
        StartSession.Map(talking);
        SendMessage.Map(talking);
        EndSession.Map(talking);
        AnalyzeSession.Map(talking);

        var reading = app.MapGroup("/v1/sessions").WithTags("Sessions").RequireAuthorization(Scopes.Read);
        GetSession.Map(reading);
        ListSessions.Map(reading);
        GetTranscript.Map(reading);
        GetTurns.Map(reading);
        GetNotes.Map(reading);
        GetAnalysis.Map(reading);

        GetUsage.Map(app.MapGroup("/v1/sessions").WithTags("Sessions").RequireAuthorization(Scopes.FinanceOrRead));
        QuoteConversation.Map(app.MapGroup("/v1/billing").WithTags("Billing").RequireAuthorization(Scopes.FinanceOrOperate));

        var analytics = app.MapGroup("/v1/analytics").WithTags("Analytics").RequireAuthorization(Scopes.Read);
        GetLatencyAnalytics.Map(analytics);
        GetUsageAnalytics.Map(analytics);

        IssueToken.Map(app);
        StartVoiceSession004.Map(app);
        StartChatSession004.Map(app);
        ReceiveLiveKitWebhook.Map(app);
        MapWithoutKey(app, app.ServiceProvider.GetRequiredService<IOptions<CompatOptions>>().Value);
        return app;
    }

    /// <summary>Seeds 000 and 001, whose clients have no keys; browsers of any origin are among them.</summary>
    private static void MapWithoutKey(IEndpointRouteBuilder app, CompatOptions options)
    {
        if (options.Mode is CompatMode.Off)
        {
            return;
        }

        var seed001 = WithoutKey("", "Seed 001").RequireCors(AnyOrigin).AddEndpointFilter<CompatDoor>();
        StartSession001.Map(seed001);
        EndSession001.Map(seed001);

        var seed000 = WithoutKey("/v1/livekit/starter", "Seed 000").RequireCors(AnyOrigin).AddEndpointFilter<CompatDoor>();
        StartSession000.Map(seed000);
        ChatWithAgent000.Map(seed000);
        GetAgentSettings000.Map(seed000);
        PutAgentSettings000.Map(seed000);

        if (options.SharedSecret is not null)
        {
            JoinRoom000.Map(WithoutKey("", "Seed 000").AddEndpointFilter<SharedSecret>().AddEndpointFilter<CompatDoor>());
        }

        RouteGroupBuilder WithoutKey(string prefix, string tag) =>
            app.MapGroup(prefix).WithTags(tag).AllowAnonymous().ForSeed(SeedRoute.CamelCase).WithMetadata(new OpenDoor());
    }

    private static void AnyOrigin(CorsPolicyBuilder policy) => policy.AllowAnyOrigin().AllowAnyHeader().AllowAnyMethod();
}

/// <summary>Where browsers and phones' media find LiveKit (LIVEKIT_PUBLIC_URL), as tokens' answers tell them.</summary>
public sealed record PublicMediaUrl(string Url);
