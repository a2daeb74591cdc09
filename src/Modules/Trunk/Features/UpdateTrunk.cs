using System.Text.Json;
using System.Text.Json.Nodes;
using VoicePlatform.Trunks.Data;
using VoicePlatform.Trunks.LiveKit;

namespace VoicePlatform.Trunks.Features;

/// <summary>Changes the given fields; null takes one back to its default. The password stays unless another is given.</summary>
internal static class UpdateTrunk
{
    public static void Map(RouteGroupBuilder trunks) => trunks
        .MapPatch("/{id}", async (string id, JsonElement patch, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(id, patch, Etag.Wanted(http)), ct)).ToHttp(r => TrunkView.Answer(r, http)))
        .WithName(nameof(UpdateTrunk))
        .Accepts<TrunkSettings>("application/json")
        .Produces<TrunkView>();

    public sealed record Command(string TrunkId, JsonElement Patch, string IfMatch) : ICommand<TrunkView>;

    internal sealed class Handler(
        TrunkDb db, UnitOfWork unit, IMediator mediator, Caller caller, AuditLog audit, SecretBox box, [FromKeyedServices(typeof(TrunkSync))] WakeUp sync, TimeProvider clock)
        : IRequestHandler<Command, Result<TrunkView>>
    {
        public async Task<Result<TrunkView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var trunk = await db.Trunks.SingleOrDefaultAsync(t => t.Id == command.TrunkId && t.TenantId == caller.TenantId && t.DeletedAt == null, cancellationToken);
            if (trunk is null)
            {
                return TrunkErrors.NotFound;
            }

            if (Etag.Refusal(command.IfMatch, trunk.Revision) is { } changed)
            {
                return changed;
            }

            if (command.Patch.ValueKind is not JsonValueKind.Object)
            {
                return Error.Field("", "wrong_type", "The body must be an object with the fields to change.");
            }

            if (TrunkRules.MaskRefusal(command.Patch) is { } masked)
            {
                return masked;
            }

            var settings = TrunkRules.Read(Merged(TrunkSettings.Of(trunk), command.Patch));
            if (!settings.IsOk)
            {
                return settings.Error;
            }

            if (settings.Value.Direction != trunk.Direction)
            {
                return Error.Field("direction", "fixed", "'direction' cannot change: make another trunk.");
            }

            if (await mediator.RefusalOfAsync(settings.Value, cancellationToken) is { } refusal)
            {
                return refusal;
            }

            trunk.Change(settings.Value, box, clock.GetUtcNow());
            try
            {
                await db.SaveChangesAsync(cancellationToken);
            }
            catch (DbUpdateConcurrencyException)
            {
                return TrunkErrors.Changed;
            }

            await audit.NoteAsync("trunk.updated", trunk.Id, new { fields = command.Patch.EnumerateObject().Select(f => f.Name) }, cancellationToken);
            unit.AfterCommit(sync.Wake);
            return TrunkView.ViewOf(trunk);
        }

        private static JsonElement Merged(TrunkSettings current, JsonElement patch)
        {
            var merged = JsonSerializer.SerializeToNode(current, Json.Options)!.AsObject();
            foreach (var field in patch.EnumerateObject())
            {
                if (field.Value.ValueKind is JsonValueKind.Null)
                {
                    merged.Remove(field.Name);
                }
                else if (field.NameEquals("auth") && field.Value.ValueKind is JsonValueKind.Object)
                {
                    var auth = merged["auth"] as JsonObject ?? [];
                    foreach (var part in field.Value.EnumerateObject())
                    {
                        auth[part.Name] = JsonNode.Parse(part.Value.GetRawText());
                    }

                    merged["auth"] = auth.DeepClone();
                }
                else
                {
                    merged[field.Name] = JsonNode.Parse(field.Value.GetRawText());
                }
            }

            return JsonSerializer.SerializeToElement(merged, Json.Options);
        }
    }
}
