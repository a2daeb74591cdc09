using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>Revokes a key. Takes effect with the next request that shows the key.</summary>
internal static class RevokeKey
{
    public static void Map(RouteGroupBuilder keys) => keys
        .MapDelete("/{id}", async (string id, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(id, Etag.Wanted(http)), ct)).ToHttp(_ => TypedResults.NoContent()))
        .WithName(nameof(RevokeKey))
        .Produces(StatusCodes.Status204NoContent);

    public sealed record Command(string KeyId, string IfMatch) : ICommand<Done>;

    internal sealed class Handler(TenantDb db, Caller caller, AuditLog audit, TimeProvider clock) : IRequestHandler<Command, Result<Done>>
    {
        public async Task<Result<Done>> Handle(Command command, CancellationToken cancellationToken)
        {
            if (await db.Keys.SingleOrDefaultAsync(k => k.Id == command.KeyId && k.TenantId == caller.TenantId, cancellationToken) is not { } key)
            {
                return TenantErrors.KeyNotFound;
            }

            if (Etag.Refusal(command.IfMatch, key.Revision) is { } changed)
            {
                return changed;
            }

            // One's own keys always; another's only by whoever could have made him what he is.
            var role = await db.Users.Where(u => u.Id == key.UserId).Select(u => u.Role).SingleAsync(cancellationToken);
            if (key.UserId != caller.UserId && !RoleRules.MayGive(caller, role))
            {
                return TenantErrors.RoleNotYours;
            }

            if (key.RevokedAt is null)
            {
                key.Revoke(clock.GetUtcNow());
                await db.SaveChangesAsync(cancellationToken);
                await audit.NoteAsync("key.revoked", key.Id, new { key.Name, key.Hint }, cancellationToken);
            }

            return default(Done);
        }
    }
}
