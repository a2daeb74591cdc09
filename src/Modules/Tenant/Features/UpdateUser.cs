using Npgsql;
using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>Changes a person's name, address or role. A narrower role narrows the person's keys at once.</summary>
internal static class UpdateUser
{
    public static void Map(RouteGroupBuilder users) => users
        .MapPatch("/{id}", async (string id, Body body, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(id, body.Name, body.Email, body.Role, Etag.Wanted(http)), ct)).ToHttp(r => UserAnswer.Tell(r, http)))
        .WithName(nameof(UpdateUser))
        .Produces<UserView>();

    /// <summary>What is left out stays as it is.</summary>
    public sealed record Body(string? Name = null, string? Email = null, Role? Role = null);

    public sealed record Command(string UserId, string? Name, string? Email, Role? Role, string IfMatch) : ICommand<UserAnswer>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Name).NotEmpty().MaximumLength(User.NameMaxLength).When(c => c.Name is not null);
            RuleFor(c => c.Email).NotEmpty().MaximumLength(User.EmailMaxLength).EmailAddress().When(c => c.Email is not null);
        }
    }

    internal sealed class Handler(TenantDb db, Caller caller, AuditLog audit, TimeProvider clock) : IRequestHandler<Command, Result<UserAnswer>>
    {
        public async Task<Result<UserAnswer>> Handle(Command command, CancellationToken cancellationToken)
        {
            await RoleRules.LockOwnersAsync(db, caller.TenantId, cancellationToken);
            var user = await db.Users.SingleOrDefaultAsync(u => u.Id == command.UserId && u.TenantId == caller.TenantId && u.DeletedAt == null, cancellationToken);
            if (user is null)
            {
                return TenantErrors.UserNotFound;
            }

            if (Etag.Refusal(command.IfMatch, user.Revision) is { } changed)
            {
                return changed;
            }

            var role = command.Role ?? user.Role;
            if (!RoleRules.MayGive(caller, role) || !RoleRules.MayGive(caller, user.Role))
            {
                return TenantErrors.RoleNotYours;
            }

            if (user.Role is Role.Owner && role is not Role.Owner && await db.IsLastOwnerAsync(user, cancellationToken))
            {
                return TenantErrors.LastOwner;
            }

            var before = new { user.Name, user.Email, user.Role };
            user.Change(command.Name?.Trim() ?? user.Name, command.Email?.Trim() ?? user.Email, role, clock.GetUtcNow());
            try
            {
                await db.SaveChangesAsync(cancellationToken);
            }
            catch (DbUpdateException e) when (e.InnerException is PostgresException { ConstraintName: "users_email" })
            {
                return TenantErrors.EmailTaken;
            }
            catch (DbUpdateConcurrencyException)
            {
                return TenantErrors.ChangedMeanwhile;
            }

            await audit.NoteAsync("user.updated", user.Id, new { before, after = new { user.Name, user.Email, user.Role } }, cancellationToken);
            return UserAnswer.Of(user);
        }
    }
}
