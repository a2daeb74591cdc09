using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>
/// The operator makes a key for a tenant that has lost its own: of every scope, or of one that no key left to the tenant may pass on (finance). It
/// belongs to the tenant's first owner, who is told by mail, and is in the tenant's audit log.
/// </summary>
internal static class IssueTenantKey
{
    public static void Map(RouteGroupBuilder tenants) => tenants
        .MapPost("/{id}/keys", async (string id, Body body, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(id, body.Name, body.Scopes, body.ExpiresAt), ct)).ToHttp(r => TypedResults.Json(r, Json.Options, statusCode: StatusCodes.Status201Created)))
        .WithName(nameof(IssueTenantKey))
        .Produces<NewKeyView>(StatusCodes.Status201Created);

    public sealed record Body(string? Name, IReadOnlyList<string>? Scopes, DateTimeOffset? ExpiresAt = null);

    public sealed record Command(string TenantId, string? Name, IReadOnlyList<string>? Scopes, DateTimeOffset? ExpiresAt) : ICommand<NewKeyView>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator(TimeProvider clock)
        {
            RuleFor(c => c.Name).IsKeyName();
            RuleFor(c => c.Scopes).AreScopes();
            RuleFor(c => c.ExpiresAt).IsAhead(clock);
        }
    }

    internal sealed class Handler(TenantDb db, AuditLog audit, IMediator mediator, TimeProvider clock) : IRequestHandler<Command, Result<NewKeyView>>
    {
        public async Task<Result<NewKeyView>> Handle(Command command, CancellationToken cancellationToken)
        {
            // A tenant always has an owner: the last one cannot be removed.
            var owner = await db.Users.AsNoTracking().Where(u => u.TenantId == command.TenantId && u.Role == Role.Owner && u.DeletedAt == null)
                .OrderBy(u => u.Id).FirstOrDefaultAsync(cancellationToken);
            if (owner is null)
            {
                return TenantErrors.NotFound;
            }

            var (key, text) = ApiKey.Issue(
                command.TenantId, owner.Id, command.Name!, command.Scopes!.Distinct().ToList(), KeyMode.Live, command.ExpiresAt?.ToUniversalTime(), clock.GetUtcNow(), null);
            db.Keys.Add(key);
            await db.SaveChangesAsync(cancellationToken);
            await audit.NoteAsync("key.created", key.Id, new { key.Name, key.Hint, key.UserId, key.Scopes, key.Mode, key.ExpiresAt }, cancellationToken, command.TenantId);
            await mediator.Send(NewKeyMail.For(owner, key), cancellationToken);
            return NewKeyView.Of(key, text);
        }
    }
}
