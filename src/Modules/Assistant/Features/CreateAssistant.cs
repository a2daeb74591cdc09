using System.Text.Json;
using VoicePlatform.Assistants.Data;
using VoicePlatform.Assistants.Tools;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Assistants.Features;

/// <summary>Makes an assistant from its document; what the document leaves out gets its default.</summary>
internal static class CreateAssistant
{
    public static void Map(RouteGroupBuilder assistants) => assistants
        .MapPost("/", async (JsonElement document, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new NewAssistant(document), ct)).ToHttp(r => AssistantView.Answer(r, http, StatusCodes.Status201Created)))
        .WithName(nameof(CreateAssistant))
        .Accepts<AssistantDocument>("application/json")
        .Produces<AssistantView>(StatusCodes.Status201Created);

    internal sealed class Handler(AssistantDb db, AuditLog audit, Caller caller, TimeProvider clock) : IRequestHandler<NewAssistant, Result<AssistantView>>
    {
        public async Task<Result<AssistantView>> Handle(NewAssistant command, CancellationToken cancellationToken)
        {
            var document = DocumentRules.Read(command.Document);
            if (!document.IsOk)
            {
                return document.Error;
            }

            if (await db.RefusalOfToolsAsync(caller.TenantId, document.Value, cancellationToken) is { } refusal)
            {
                return refusal;
            }

            var (assistant, first) = Assistant.Create(caller.TenantId, document.Value, caller.UserId, clock.GetUtcNow());
            db.AddRange(assistant, first);
            await db.SaveChangesAsync(cancellationToken);
            await audit.NoteAsync("assistant.created", assistant.Id, new { assistant.Name }, cancellationToken);
            return AssistantView.Of(assistant, document.Value);
        }
    }
}
