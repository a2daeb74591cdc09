using Npgsql;
using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>A person of the tenant. He has no password here: what he does, he does with keys that belong to him.</summary>
internal static class CreateUser
{
    public static void Map(RouteGroupBuilder users) => users
        .MapPost("/", async (Command command, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(command, ct)).ToHttp(r => UserAnswer.Tell(r, http, StatusCodes.Status201Created)))
        .WithName(nameof(CreateUser))
        .Produces<UserView>(StatusCodes.Status201Created);

    public sealed record Command(string? Name, string? Email, Role? Role) : ICommand<UserAnswer>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Name).NotEmpty().MaximumLength(User.NameMaxLength);
            RuleFor(c => c.Email).NotEmpty().MaximumLength(User.EmailMaxLength).EmailAddress();
            RuleFor(c => c.Role).NotNull();
        }
    }

    internal sealed class Handler(TenantDb db, Caller caller, AuditLog audit, TimeProvider clock) : IRequestHandler<Command, Result<UserAnswer>>
    {
        public async Task<Result<UserAnswer>> Handle(Command command, CancellationToken cancellationToken)
        {
            if (!RoleRules.MayGive(caller, command.Role!.Value))
            {
                return TenantErrors.RoleNotYours;
            }

            var user = User.Join(caller.TenantId, command.Name!.Trim(), command.Email!.Trim(), command.Role.Value, clock.GetUtcNow());
            db.Users.Add(user);
            try
            {
                await db.SaveChangesAsync(cancellationToken);
            }
            catch (DbUpdateException e) when (e.InnerException is PostgresException { ConstraintName: "users_email" })
            {
                return TenantErrors.EmailTaken;
            }

            await audit.NoteAsync("user.created", user.Id, new { user.Name, user.Email, user.Role }, cancellationToken);
            return UserAnswer.Of(user);
        }
    }
}
