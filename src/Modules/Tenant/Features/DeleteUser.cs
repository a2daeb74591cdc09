using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>Removes a person and revokes all his keys in the same moment.</summary>
internal static class DeleteUser
{
    public static void Map(RouteGroupBuilder users) => users
        .MapDelete("/{id}", async (string id, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(id, Etag.Wanted(http)), ct)).ToHttp(_ => TypedResults.NoContent()))
        .WithName(nameof(DeleteUser))
        .Produces(StatusCodes.Status204NoContent);

    public sealed record Command(string UserId, string IfMatch) : ICommand<Done>;

    internal sealed class Handler(TenantDb db, Caller caller, AuditLog audit, TimeProvider clock) : IRequestHandler<Command, Result<Done>>
    {
        public async Task<Result<Done>> Handle(Command command, CancellationToken cancellationToken)
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

            if (!RoleRules.MayGive(caller, user.Role))
            {
                return TenantErrors.RoleNotYours;
            }

            if (user.Role is Role.Owner && await db.IsLastOwnerAsync(user, cancellationToken))
            {
                return TenantErrors.LastOwner;
            }

            var now = clock.GetUtcNow();
            user.Leave(now);
            var keys = await db.Keys.Where(k => k.UserId == user.Id && k.TenantId == caller.TenantId && k.RevokedAt == null).ToListAsync(cancellationToken);
            foreach (var key in keys)
            {
                key.Revoke(now);
            }

            await db.SaveChangesAsync(cancellationToken);
            await audit.NoteAsync("user.deleted", user.Id, new { user.Name, user.Email, keys_revoked = keys.ConvertAll(k => k.Id) }, cancellationToken);
            return default(Done);
        }
    }
}
