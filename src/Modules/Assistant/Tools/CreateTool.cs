using System.Text.Json;
using VoicePlatform.Assistants.Data;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Assistants.Tools;

/// <summary>Makes a tool that assistants can be given (their 'tools').</summary>
internal static class CreateTool
{
    public static void Map(RouteGroupBuilder tools) => tools
        .MapPost("/", async (JsonElement document, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(document), ct)).ToHttp(r => ToolView.Answer(r, http, StatusCodes.Status201Created)))
        .WithName(nameof(CreateTool))
        .Accepts<ToolDocument>("application/json")
        .Produces<ToolView>(StatusCodes.Status201Created);

    public sealed record Command(JsonElement Document) : ICommand<ToolView>;

    internal sealed class Handler(AssistantDb db, IMediator mediator, Caller caller, SecretBox box, AuditLog audit, TimeProvider clock) : IRequestHandler<Command, Result<ToolView>>
    {
        public async Task<Result<ToolView>> Handle(Command command, CancellationToken cancellationToken)
        {
            if (ToolRules.MaskRefusal(command.Document) is { } masked)
            {
                return masked;
            }

            var document = ToolRules.Read(command.Document);
            if (!document.IsOk)
            {
                return document.Error;
            }

            if ((ToolSecrets.Refusal(null, document.Value, caller) ?? await mediator.RefusalOfUrlAsync(document.Value, cancellationToken)) is { } refusal)
            {
                return refusal;
            }

            var tool = Tool.Create(caller.TenantId, document.Value, box, clock.GetUtcNow());
            db.Tools.Add(tool);
            await db.SaveChangesAsync(cancellationToken);
            await audit.NoteAsync("tool.created", tool.Id, new { tool.Name, tool.Type }, cancellationToken);
            return ToolView.Of(tool, box);
        }
    }
}
