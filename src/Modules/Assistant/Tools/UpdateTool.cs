using System.Text.Json;
using VoicePlatform.Assistants.Data;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Assistants.Tools;

/// <summary>Changes the given fields (RFC 7396). A header that is left out keeps its value; null removes it. Conversations that run keep the tool they began with.</summary>
internal static class UpdateTool
{
    public static void Map(RouteGroupBuilder tools) => tools
        .MapPatch("/{id}", async (string id, JsonElement patch, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(id, patch, Etag.Wanted(http)), ct)).ToHttp(r => ToolView.Answer(r, http)))
        .WithName(nameof(UpdateTool))
        .Accepts<ToolDocument>("application/json")
        .Produces<ToolView>();

    public sealed record Command(string ToolId, JsonElement Patch, string IfMatch) : ICommand<ToolView>;

    internal sealed class Handler(AssistantDb db, IMediator mediator, Caller caller, SecretBox box, AuditLog audit, TimeProvider clock) : IRequestHandler<Command, Result<ToolView>>
    {
        public async Task<Result<ToolView>> Handle(Command command, CancellationToken cancellationToken)
        {
            if (await db.Tools.SingleOrDefaultAsync(t => t.Id == command.ToolId && t.TenantId == caller.TenantId && t.DeletedAt == null, cancellationToken) is not { } tool)
            {
                return AssistantErrors.ToolNotFound;
            }

            if (Etag.Refusal(command.IfMatch, tool.Revision) is { } changed)
            {
                return changed;
            }

            if (command.Patch.ValueKind is not JsonValueKind.Object)
            {
                return Error.Field("", "wrong_type", "The body must be an object with the fields to change.");
            }

            if (ToolRules.MaskRefusal(command.Patch) is { } masked)
            {
                return masked;
            }

            var merged = JsonSerializer.SerializeToNode(tool.Open(box), Json.Options)!.AsObject();
            MergePatch.Apply(merged, command.Patch);
            var document = ToolRules.Read(JsonSerializer.SerializeToElement(merged, Json.Options));
            if (!document.IsOk)
            {
                return document.Error;
            }

            if (await mediator.RefusalOfUrlAsync(document.Value, cancellationToken) is { } refusal)
            {
                return refusal;
            }

            tool.Change(document.Value, box, clock.GetUtcNow());
            try
            {
                await db.SaveChangesAsync(cancellationToken);
            }
            catch (DbUpdateConcurrencyException)
            {
                return AssistantErrors.ToolChangedMeanwhile;
            }

            await audit.NoteAsync("tool.updated", tool.Id, new { fields = command.Patch.EnumerateObject().Select(f => f.Name) }, cancellationToken);
            return ToolView.Of(tool, box);
        }
    }
}
