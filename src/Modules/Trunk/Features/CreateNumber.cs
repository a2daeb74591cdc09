using VoicePlatform.Trunks.Data;
using VoicePlatform.Trunks.LiveKit;

namespace VoicePlatform.Trunks.Features;

/// <summary>Routes an inbound number to an assistant.</summary>
internal static class CreateNumber
{
    public static void Map(RouteGroupBuilder numbers) => numbers
        .MapPost("/", async (Command command, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(command, ct)).ToHttp(r => NumberAnswer.Tell(r, http, StatusCodes.Status201Created)))
        .WithName(nameof(CreateNumber))
        .Produces<NumberView>(StatusCodes.Status201Created);

    /// <param name="ContextUrl">Asked before a call is taken; answers {variables, metadata} within 1.5 s, or the call goes on without.</param>
    public sealed record Command(string? Number, string? TrunkId, string? AssistantId, string? Name = null, string? ContextUrl = null) : ICommand<NumberAnswer>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Number).Must(E164.IsValid).WithMessage($"'number' {E164.Hint}");
            RuleFor(c => c.TrunkId).Must(id => Ids.IsWellFormed(id, Ids.Trunk)).WithMessage("'trunk_id' must be a trunk's id.");
            RuleFor(c => c.AssistantId).Must(id => Ids.IsWellFormed(id, Ids.Assistant)).WithMessage("'assistant_id' must be an assistant's id.");
            RuleFor(c => c.Name).MaximumLength(200);
            RuleFor(c => c.ContextUrl).MaximumLength(2_000);
        }
    }

    internal sealed class Handler(
        TrunkDb db, UnitOfWork unit, IMediator mediator, Caller caller, AuditLog audit, [FromKeyedServices(typeof(TrunkSync))] WakeUp sync, TimeProvider clock)
        : IRequestHandler<Command, Result<NumberAnswer>>
    {
        public async Task<Result<NumberAnswer>> Handle(Command command, CancellationToken cancellationToken)
        {
            var now = clock.GetUtcNow();
            if (await mediator.RefusalOfAsync(caller.TenantId, command.AssistantId!, command.ContextUrl, cancellationToken) is { } refusal)
            {
                return refusal;
            }

            var trunk = await db.Trunks.SingleOrDefaultAsync(t => t.Id == command.TrunkId && t.TenantId == caller.TenantId && t.DeletedAt == null, cancellationToken);
            if (trunk is not { Direction: TrunkDirection.Inbound })
            {
                return trunk is null ? TrunkErrors.NoSuchTrunk : TrunkErrors.NotInbound;
            }

            var number = PhoneNumber.Route(caller.TenantId, command.Number!, trunk.Id, command.AssistantId!, command.Name ?? "", command.ContextUrl, now);
            trunk.Touch(now);
            db.Numbers.Add(number);
            try
            {
                await db.SaveChangesAsync(cancellationToken);
            }
            catch (DbUpdateConcurrencyException)
            {
                return TrunkErrors.Changed;
            }
            catch (DbUpdateException e) when (e.InnerException is Npgsql.PostgresException { ConstraintName: "numbers_number" })
            {
                return TrunkErrors.NumberTaken;
            }

            await audit.NoteAsync("number.created", number.Id, new { number.Number, number.TrunkId, number.AssistantId }, cancellationToken);
            unit.AfterCommit(sync.Wake);
            return NumberAnswer.Of(number);
        }
    }
}
