using Microsoft.Extensions.Options;
using VoicePlatform.Agent.Providers;
using VoicePlatform.Agent.Providers.Flite;
using VoicePlatform.Agent.Providers.PocketSphinx;
using VoicePlatform.Agent.Tools;
using VoicePlatform.Agent.Worker;
using VoicePlatform.LiveKit.Rtc;

namespace VoicePlatform.Agent;

/// <summary>The assistant's part of every conversation: a LiveKit worker in this process that listens, thinks and speaks. No tables.</summary>
public static class AgentModule
{
    public static IHostApplicationBuilder AddAgent(this IHostApplicationBuilder builder)
    {
        builder.Services.AddSlices(typeof(AgentModule).Assembly);
        builder.Services.AddOptions<AgentOptions>().Configure<IConfiguration>((o, c) => o.Read(c, builder.Environment.IsDevelopment())).ValidateOnStart();
        builder.Services.AddSingleton(p => new PocketSphinxSpeech(Environment.ProcessorCount, p.GetRequiredService<TimeProvider>()));
        builder.Services.AddSingleton<FliteSpeech>();
        builder.Services.AddSingleton<ProviderCatalog>();
        builder.Services.AddSingleton<ToolBoxes>();
        builder.Services.AddSingleton<ConversationRegistry>();
        builder.Services.AddSingleton(p =>
        {
            var options = p.GetRequiredService<IOptions<AgentOptions>>().Value;
            return new RtcEngine(
                new RtcLibrary(
                    options.FfiLibrary ?? throw new InvalidOperationException("LIVEKIT_FFI_LIBRARY is not set: name LiveKit's client library (eng/livekit-native fetches it), or start with ./run."),
                    Path.Combine(options.DataDir, "native")),
                p.GetRequiredService<ILoggerFactory>(),
                p.GetRequiredService<TimeProvider>());
        });
        builder.Services.AddSingleton<AttendedRoom.Factory>(p => () => ActivatorUtilities.CreateInstance<AttendedRoom>(p));
        builder.Services.AddSingleton<HandedRooms>();
        builder.Services.AddHostedService(p => p.GetRequiredService<HandedRooms>());
        builder.Services.AddHostedService<AgentService>();
        return builder;
    }
}
