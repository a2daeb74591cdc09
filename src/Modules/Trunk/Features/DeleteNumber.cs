using VoicePlatform.Trunks.Data;
using VoicePlatform.Trunks.LiveKit;

namespace VoicePlatform.Trunks.Features;

/// <summary>Calls to the number are refused from now on; calls that run go on.</summary>
internal static class DeleteNumber
{
    public static void Map(RouteGroupBuilder numbers) => numbers
        .MapDelete("/{id}", async (string id, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(id, Etag.Wanted(http)), ct)).ToHttp(_ => TypedResults.NoContent()))
        .WithName(nameof(DeleteNumber))
        .Produces(StatusCodes.Status204NoContent);

    public sealed record Command(string NumberId, string IfMatch) : ICommand<Done>;

    internal sealed class Handler(TrunkDb db, UnitOfWork unit, Caller caller, AuditLog audit, [FromKeyedServices(typeof(TrunkSync))] WakeUp sync, TimeProvider clock)
        : IRequestHandler<Command, Result<Done>>
    {
        public async Task<Result<Done>> Handle(Command command, CancellationToken cancellationToken)
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

            var now = clock.GetUtcNow();
            number.Delete(now);
            (await db.Trunks.SingleAsync(t => t.Id == number.TrunkId, cancellationToken)).Touch(now);
            await db.SaveChangesAsync(cancellationToken);
            await audit.NoteAsync("number.deleted", number.Id, new { number.Number }, cancellationToken);
            unit.AfterCommit(sync.Wake);
            return default(Done);
        }
    }
}
