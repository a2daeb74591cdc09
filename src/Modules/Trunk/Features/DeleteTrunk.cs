using VoicePlatform.Trunks.Data;
using VoicePlatform.Trunks.LiveKit;

namespace VoicePlatform.Trunks.Features;

/// <summary>No new call goes by it; calls that run go on. A trunk with routed numbers stays.</summary>
internal static class DeleteTrunk
{
    public static void Map(RouteGroupBuilder trunks) => trunks
        .MapDelete("/{id}", async (string id, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(id, Etag.Wanted(http)), ct)).ToHttp(_ => TypedResults.NoContent()))
        .WithName(nameof(DeleteTrunk))
        .Produces(StatusCodes.Status204NoContent);

    public sealed record Command(string TrunkId, string IfMatch) : ICommand<Done>;

    internal sealed class Handler(TrunkDb db, UnitOfWork unit, Caller caller, AuditLog audit, [FromKeyedServices(typeof(TrunkSync))] WakeUp sync, TimeProvider clock)
        : IRequestHandler<Command, Result<Done>>
    {
        public async Task<Result<Done>> Handle(Command command, CancellationToken cancellationToken)
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

            if (await db.Numbers.AnyAsync(n => n.TrunkId == trunk.Id && n.DeletedAt == null, cancellationToken))
            {
                return TrunkErrors.HasNumbers;
            }

            trunk.Delete(clock.GetUtcNow());
            await db.SaveChangesAsync(cancellationToken);
            await audit.NoteAsync("trunk.deleted", trunk.Id, new { trunk.Name }, cancellationToken);
            unit.AfterCommit(sync.Wake);
            return default(Done);
        }
    }
}
