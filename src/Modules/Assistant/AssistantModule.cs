using VoicePlatform.Assistants.Data;
using VoicePlatform.Assistants.Features;
using VoicePlatform.Assistants.Tools;

namespace VoicePlatform.Assistants;

/// <summary>What an assistant is: its document, in versions that never change.</summary>
public static class AssistantModule
{
    public static IHostApplicationBuilder AddAssistant(this IHostApplicationBuilder builder)
    {
        builder.Services.AddSlices(typeof(AssistantModule).Assembly);
        builder.Services.AddModuleDb<AssistantDb>(options => new AssistantDb(options));
        return builder;
    }

    public static IEndpointRouteBuilder MapAssistant(this IEndpointRouteBuilder app)
    {
        var reading = app.MapGroup("/v1/assistants").WithTags("Assistants").RequireAuthorization(Scopes.Read);
        GetAssistant.Map(reading);
        ListAssistants.Map(reading);
        ListVersions.Map(reading);

        var changing = app.MapGroup("/v1/assistants").WithTags("Assistants").RequireAuthorization(Scopes.Operate);
        CreateAssistant.Map(changing);
        UpdateAssistant.Map(changing);
        RestoreVersion.Map(changing);
        DeleteAssistant.Map(changing);

        var readingTools = app.MapGroup("/v1/tools").WithTags("Tools").RequireAuthorization(Scopes.Read);
        GetTool.Map(readingTools);
        ListTools.Map(readingTools);

        var changingTools = app.MapGroup("/v1/tools").WithTags("Tools").RequireAuthorization(Scopes.Operate);
        CreateTool.Map(changingTools);
        UpdateTool.Map(changingTools);
        DeleteTool.Map(changingTools);

        var seed003 = app.MapGroup("/assistant").WithTags("Seed 003").ForSeed(SeedRoute.Envelope);
        CreateAssistant003.Map(seed003.MapGroup("").RequireAuthorization(Scopes.Operate));
        UpdateAssistant003.Map(seed003.MapGroup("").RequireAuthorization(Scopes.Operate));
        ListAssistants003.Map(seed003.MapGroup("").RequireAuthorization(Scopes.Read));
        return app;
    }
}
