using System.Text.Json;
using VoicePlatform.Trunks.Data;
using VoicePlatform.Trunks.LiveKit;

namespace VoicePlatform.Trunks.Features;

/// <summary>Saves a trunk; LiveKit gets it at once, or as soon as it answers.</summary>
internal static class CreateTrunk
{
    public static void Map(RouteGroupBuilder trunks) => trunks
        .MapPost("/", async (JsonElement settings, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new NewTrunk(settings), ct)).ToHttp(r => TrunkView.Answer(r, http, StatusCodes.Status201Created)))
        .WithName(nameof(CreateTrunk))
        .Accepts<TrunkSettings>("application/json")
        .Produces<TrunkView>(StatusCodes.Status201Created);

    internal sealed class Handler(
        TrunkDb db, UnitOfWork unit, IMediator mediator, Caller caller, AuditLog audit, SecretBox box, [FromKeyedServices(typeof(TrunkSync))] WakeUp sync, TimeProvider clock)
        : IRequestHandler<NewTrunk, Result<TrunkView>>
    {
        public async Task<Result<TrunkView>> Handle(NewTrunk command, CancellationToken cancellationToken)
        {
            if (TrunkRules.MaskRefusal(command.Settings) is { } masked)
            {
                return masked;
            }

            var settings = TrunkRules.Read(command.Settings);
            if (!settings.IsOk)
            {
                return settings.Error;
            }

            if (await mediator.RefusalOfAsync(settings.Value, cancellationToken) is { } refusal)
            {
                return refusal;
            }

            var trunk = Trunk.Create(caller.TenantId, settings.Value, box, clock.GetUtcNow());
            db.Trunks.Add(trunk);
            await db.SaveChangesAsync(cancellationToken);
            await audit.NoteAsync("trunk.created", trunk.Id, new { trunk.Name, trunk.Direction, trunk.Address }, cancellationToken);
            unit.AfterCommit(sync.Wake);
            return TrunkView.ViewOf(trunk);
        }
    }
}
