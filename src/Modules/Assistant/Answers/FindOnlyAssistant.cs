using System.Text.Json;
using VoicePlatform.Assistants.Data;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Assistants.Answers;

internal sealed class FindOnlyAssistantHandler(AssistantDb db) : IRequestHandler<FindOnlyAssistant, Result<OnlyAssistant>>
{
    public async Task<Result<OnlyAssistant>> Handle(FindOnlyAssistant request, CancellationToken cancellationToken)
    {
        var found = await db.Assistants.Where(a => a.TenantId == request.TenantId && a.DeletedAt == null).OrderBy(a => a.Id).Take(2).Select(a => a.Id).ToListAsync(cancellationToken);
        return found switch
        {
            [var only] => new OnlyAssistant(only),
            [] => new Error(ErrorKind.NotFound, "assistant.none", "there is no assistant."),
            _ => new Error(ErrorKind.NotFound, "assistant.several", "there are several assistants."),
        };
    }
}

internal sealed class MakeAssistantHandler(IMediator mediator) : IRequestHandler<MakeAssistant, Result<AssistantVersion>>
{
    public async Task<Result<AssistantVersion>> Handle(MakeAssistant request, CancellationToken cancellationToken)
    {
        var made = await mediator.Send(new NewAssistant(Json.Read<JsonElement>(request.DocumentJson)), cancellationToken);
        return made.IsOk ? new AssistantVersion(made.Value.Id, made.Value.Version, made.Value) : made.Error;
    }
}
