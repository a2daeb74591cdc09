using System.Text.Json;
using VoicePlatform.Trunks.Data;
using VoicePlatform.Trunks.LiveKit;

namespace VoicePlatform.Trunks.Features;

/// <summary>Routes a number elsewhere: another assistant, another trunk of the tenant.</summary>
internal static class UpdateNumber
{
    public static void Map(RouteGroupBuilder numbers) => numbers
        .MapPatch("/{id}", async (string id, JsonElement patch, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(id, patch, Etag.Wanted(http)), ct)).ToHttp(r => NumberAnswer.Tell(r, http)))
        .WithName(nameof(UpdateNumber))
        .Accepts<Fields>("application/json")
        .Produces<NumberView>();

    public sealed record Command(string NumberId, JsonElement Patch, string IfMatch) : ICommand<NumberAnswer>;

    internal sealed record Fields(string TrunkId, string AssistantId, string Name, string? ContextUrl);

    internal sealed class Handler(
        TrunkDb db, UnitOfWork unit, IMediator mediator, Caller caller, AuditLog audit, [FromKeyedServices(typeof(TrunkSync))] WakeUp sync, TimeProvider clock)
        : IRequestHandler<Command, Result<NumberAnswer>>
    {
        public async Task<Result<NumberAnswer>> Handle(Command command, CancellationToken cancellationToken)
        {
            var number = await db.Numbers.SingleOrDefaultAsync(n => n.Id == command.NumberId && n.TenantId == caller.TenantId && n.DeletedAt == null, cancellationToken);
            if (number is null)
            {
                return TrunkErrors.NumberNotFound;
            }

            if (Etag.Refusal(command.IfMatch, number.Revision) is { } changed)
            {
                return changed;
            }

            var read = Read(number, command.Patch);
            if (!read.IsOk)
            {
                return read.Error;
            }

            var fields = read.Value;
            if (await mediator.RefusalOfAsync(caller.TenantId, fields.AssistantId, fields.ContextUrl, cancellationToken) is { } refusal)
            {
                return refusal;
            }

            var now = clock.GetUtcNow();
            if (fields.TrunkId != number.TrunkId)
            {
                var trunks = await db.Trunks.Where(t => (t.Id == fields.TrunkId || t.Id == number.TrunkId) && t.TenantId == caller.TenantId && t.DeletedAt == null)
                    .ToListAsync(cancellationToken);
                if (trunks.Find(t => t.Id == fields.TrunkId) is not { Direction: TrunkDirection.Inbound } target)
                {
                    return trunks.Exists(t => t.Id == fields.TrunkId) ? TrunkErrors.NotInbound : TrunkErrors.NoSuchTrunk;
                }

                trunks.ForEach(t => t.Touch(now));
                unit.AfterCommit(sync.Wake);
            }

            number.Change(fields.TrunkId, fields.AssistantId, fields.Name, fields.ContextUrl, now);
            try
            {
                await db.SaveChangesAsync(cancellationToken);
            }
            catch (DbUpdateConcurrencyException)
            {
                return TrunkErrors.Changed;
            }

            await audit.NoteAsync("number.updated", number.Id, new { number.TrunkId, number.AssistantId, number.Name, number.ContextUrl }, cancellationToken);
            return NumberAnswer.Of(number);
        }

        private static Result<Fields> Read(PhoneNumber number, JsonElement patch)
        {
            var fields = new Fields(number.TrunkId, number.AssistantId, number.Name, number.ContextUrl);
            if (patch.ValueKind is not JsonValueKind.Object)
            {
                return Error.Field("", "wrong_type", "The body must be an object with the fields to change.");
            }

            foreach (var field in patch.EnumerateObject())
            {
                var text = field.Value.ValueKind is JsonValueKind.String ? field.Value.GetString() : null;
                if (text is null && field.Value.ValueKind is not JsonValueKind.Null || text is { Length: > 2_000 })
                {
                    return Error.Field(field.Name, "wrong_type", $"'{field.Name}' must be text.");
                }

                switch (field.Name)
                {
                    case "trunk_id" when text is not null:
                        fields = fields with { TrunkId = text };
                        break;
                    case "assistant_id" when text is not null:
                        fields = fields with { AssistantId = text };
                        break;
                    case "name":
                        fields = fields with { Name = text ?? "" };
                        break;
                    case "context_url":
                        fields = fields with { ContextUrl = text };
                        break;
                    default:
                        return Error.Field(field.Name, "unknown_field", $"'{field.Name}' cannot be changed.");
                }
            }

            return fields;
        }
    }
}
