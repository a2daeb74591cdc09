using VoicePlatform.Calls.Data;
using VoicePlatform.Calls.Dialling;
using VoicePlatform.Calls.Features;
using VoicePlatform.Calls.Inbound;
using VoicePlatform.Calls.Live;
using VoicePlatform.Calls.Recording;

namespace VoicePlatform.Calls;

/// <summary>Telephone calls: the outbound queue and its dialler, inbound routing, outcomes, live control, recordings.</summary>
public static class CallModule
{
    public static IHostApplicationBuilder AddCall(this IHostApplicationBuilder builder)
    {
        builder.Services.AddSlices(typeof(CallModule).Assembly);
        builder.Services.AddModuleDb<CallDb>(options => new CallDb(options));
        builder.Services.AddOptions<CallOptions>().Configure<IConfiguration>((o, c) => o.Read(c, builder.Environment.IsProduction())).ValidateOnStart();
        builder.Services.AddOptions<BucketOptions>().Configure<IConfiguration>((o, c) => o.Read(c)).ValidateOnStart();
        builder.Services.AddSingleton<Recordings>();
        builder.Services.AddScoped<IGauges, CallMetrics>();
        builder.Services.AddScoped<CallEnding>();
        builder.Services.AddScoped<InboundCalls>();
        builder.Services.AddScoped<LiveCalls>();
        builder.Services.AddSingleton<DialAttempt>();
        builder.Services.AddKeyedSingleton<WakeUp>(typeof(Dialler));
        builder.Services.AddHostedService<Dialler>();
        builder.Services.AddHostedService<CallSweeper>();
        builder.Services.AddHostedService<RecordingSweeper>();
        builder.Services.AddScoped<IScheduledJob, RemoveRecordings>();
        return builder;
    }

    public static IEndpointRouteBuilder MapCall(this IEndpointRouteBuilder app)
    {
        var calling = app.MapGroup("/v1/calls").WithTags("Calls").RequireAuthorization(Scopes.Operate);
        PlaceCall.Map(calling);
        EndCall.Map(calling);
        SayOnCall.Map(calling);
        SendDtmf.Map(calling);
        TransferCall.Map(calling);
        AnalyzeCall.Map(calling);

        var reading = app.MapGroup("/v1/calls").WithTags("Calls").RequireAuthorization(Scopes.Read);
        ListCalls.Map(reading);
        GetCall.Map(reading);
        GetCallTranscript.Map(reading);
        GetCallEvents.Map(reading);
        GetCallRecording.Map(reading);
        GetCallAnalysis.Map(reading);
        GetCallCost.Map(app.MapGroup("/v1/calls").WithTags("Calls").RequireAuthorization(Scopes.FinanceOrRead));
        GetCallAnalytics.Map(app.MapGroup("/v1/analytics").WithTags("Analytics").RequireAuthorization(Scopes.Read));

        ServeRecording.Map(app);
        PlaceCall003.Map(app);
        ReceiveTelephonyWebhook001.Map(app);
        GetTelephonyCall001.Map(app);
        return app;
    }
}
