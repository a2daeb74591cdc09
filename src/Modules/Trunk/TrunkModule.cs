using VoicePlatform.Trunks.Data;
using VoicePlatform.Trunks.Features;
using VoicePlatform.Trunks.LiveKit;

namespace VoicePlatform.Trunks;

/// <summary>The tenants' lines to the telephone network: SIP trunks, the numbers routed by them, and their copy on the LiveKit server.</summary>
public static class TrunkModule
{
    public static IHostApplicationBuilder AddTrunk(this IHostApplicationBuilder builder)
    {
        builder.Services.AddSlices(typeof(TrunkModule).Assembly);
        builder.Services.AddModuleDb<TrunkDb>(options => new TrunkDb(options));
        builder.Services.AddScoped<Probe.TrunkProbe>();
        builder.Services.AddKeyedSingleton<WakeUp>(typeof(TrunkSync));
        builder.Services.AddHostedService<TrunkSync>();
        return builder;
    }

    public static IEndpointRouteBuilder MapTrunk(this IEndpointRouteBuilder app)
    {
        var reading = app.MapGroup("/v1/trunks").WithTags("Trunks").RequireAuthorization(Scopes.Read);
        GetTrunk.Map(reading);
        ListTrunks.Map(reading);

        var changing = app.MapGroup("/v1/trunks").WithTags("Trunks").RequireAuthorization(Scopes.Operate);
        CreateTrunk.Map(changing);
        UpdateTrunk.Map(changing);
        DeleteTrunk.Map(changing);
        TestTrunk.Map(changing);

        var numbers = app.MapGroup("/v1/numbers").WithTags("Numbers").RequireAuthorization(Scopes.Operate);
        CreateNumber.Map(numbers);
        UpdateNumber.Map(numbers);
        DeleteNumber.Map(numbers);

        var readingNumbers = app.MapGroup("/v1/numbers").WithTags("Numbers").RequireAuthorization(Scopes.Read);
        GetNumber.Map(readingNumbers);
        ListNumbers.Map(readingNumbers);

        CreateOutboundTrunk003.Map(app);
        return app;
    }
}
