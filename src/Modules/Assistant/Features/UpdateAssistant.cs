using System.Text.Json;
using System.Text.Json.Nodes;
using VoicePlatform.Assistants.Data;
using VoicePlatform.Assistants.Tools;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Assistants.Features;

/// <summary>Changes the given fields (RFC 7396: null removes, objects merge) and makes a new version. If-Match guards against lost changes.</summary>
internal static class UpdateAssistant
{
    public static void Map(RouteGroupBuilder assistants) => assistants
        .MapPatch("/{id}", async (string id, JsonElement patch, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new ChangeAssistant(id, patch, Etag.Wanted(http)), ct)).ToHttp(r => AssistantView.Answer(r, http)))
        .WithName(nameof(UpdateAssistant))
        .Accepts<AssistantDocument>("application/json")
        .Produces<AssistantView>();

    internal sealed class Handler(AssistantDb db, AuditLog audit, Caller caller, TimeProvider clock) : IRequestHandler<ChangeAssistant, Result<AssistantView>>
    {
        public async Task<Result<AssistantView>> Handle(ChangeAssistant command, CancellationToken cancellationToken)
        {
            var assistant = await db.Assistants.SingleOrDefaultAsync(
                a => a.Id == command.AssistantId && a.TenantId == caller.TenantId && a.DeletedAt == null, cancellationToken);
            if (assistant is null)
            {
                return AssistantErrors.NotFound;
            }

            if (Etag.Refusal(command.IfMatch, assistant.Version) is { } changed)
            {
                return changed;
            }

            if (command.Patch.ValueKind is not JsonValueKind.Object)
            {
                return Error.Field("", "wrong_type", "The body must be an object with the fields to change.");
            }

            var current = await db.Versions.AsNoTracking().SingleAsync(v => v.AssistantId == assistant.Id && v.Version == assistant.Version, cancellationToken);
            var merged = JsonNode.Parse(current.Document)!.AsObject();
            MergePatch.Apply(merged, command.Patch);
            var document = DocumentRules.Read(JsonSerializer.SerializeToElement(merged, Json.Options));
            if (!document.IsOk)
            {
                return document.Error;
            }

            if (await db.RefusalOfToolsAsync(caller.TenantId, document.Value, cancellationToken) is { } refusal)
            {
                return refusal;
            }

            db.Add(assistant.Change(document.Value, caller.UserId, clock.GetUtcNow()));
            try
            {
                await db.SaveChangesAsync(cancellationToken);
            }
            catch (DbUpdateException e) when (e is DbUpdateConcurrencyException || e.InnerException is Npgsql.PostgresException { SqlState: "23505" })
            {
                return AssistantErrors.ChangedMeanwhile;
            }

            await audit.NoteAsync("assistant.updated", assistant.Id, new { assistant.Version, fields = command.Patch.EnumerateObject().Select(f => f.Name) }, cancellationToken);
            return AssistantView.Of(assistant, document.Value);
        }
    }
}
