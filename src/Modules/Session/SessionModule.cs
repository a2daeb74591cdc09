using VoicePlatform.LiveKit;
using VoicePlatform.LiveKit.ServerApi;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.LiveKit.Webhooks;
using VoicePlatform.Sessions.Data;
using VoicePlatform.Sessions.Features;

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
        builder.Services.AddHostedService<SessionSweeper>();
        return builder;
    }

    public static IEndpointRouteBuilder MapSession(this IEndpointRouteBuilder app)
    {
        var talking = app.MapGroup("/v1/sessions").WithTags("Sessions").RequireAuthorization(Scopes.Operate);
        StartSession.Map(talking);
        SendMessage.Map(talking);
        EndSession.Map(talking);

        var reading = app.MapGroup("/v1/sessions").WithTags("Sessions").RequireAuthorization(Scopes.Read);
        GetSession.Map(reading);
        ListSessions.Map(reading);
        GetTranscript.Map(reading);
        GetTurns.Map(reading);
        GetUsage.Map(reading);
        GetNotes.Map(reading);

        var analytics = app.MapGroup("/v1/analytics").WithTags("Analytics").RequireAuthorization(Scopes.Read);
        GetLatencyAnalytics.Map(analytics);
        GetUsageAnalytics.Map(analytics);

        ReceiveLiveKitWebhook.Map(app);
        return app;
    }
}

/// <summary>Where browsers and phones' media find LiveKit (LIVEKIT_PUBLIC_URL), as tokens' answers tell them.</summary>
public sealed record PublicMediaUrl(string Url);
