using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>Makes the key's successor, with the same rights; the old one works on for the overlap, so that nothing stops while programs change over.</summary>
internal static class RotateKey
{
    private const int DefaultOverlapHours = 24;
    private const int MaxOverlapHours = 720;

    public static void Map(RouteGroupBuilder keys) => keys
        .MapPost("/{id}/rotate", async (string id, Body? body, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(id, body?.OverlapHours ?? DefaultOverlapHours), ct)).ToHttp(r =>
            {
                http.Response.Headers.Location = $"/v1/keys/{r.Id}";
                return TypedResults.Json(r, Json.Options, statusCode: StatusCodes.Status201Created);
            }))
        .WithName(nameof(RotateKey))
        .Produces<NewKeyView>(StatusCodes.Status201Created);

    /// <param name="OverlapHours">How long the old key works on: 0 (not at all) to 720; 24 when left out.</param>
    public sealed record Body(int? OverlapHours = null);

    public sealed record Command(string KeyId, int OverlapHours) : ICommand<NewKeyView>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator() => RuleFor(c => c.OverlapHours).InclusiveBetween(0, MaxOverlapHours);
    }

    internal sealed class Handler(TenantDb db, Caller caller, AuditLog audit, IMediator mediator, TimeProvider clock) : IRequestHandler<Command, Result<NewKeyView>>
    {
        public async Task<Result<NewKeyView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var now = clock.GetUtcNow();
            var old = await db.Keys.SingleOrDefaultAsync(k => k.Id == command.KeyId && k.TenantId == caller.TenantId, cancellationToken);
            if (old is null)
            {
                return TenantErrors.KeyNotFound;
            }

            if (!old.IsUsable(now) || await db.Keys.AnyAsync(k => k.Replaces == old.Id, cancellationToken))
            {
                return TenantErrors.KeyUnusable;
            }

            // Whoever rotates a key reads its successor: that must not be more than he may give.
            if (old.Scopes.Contains(Scopes.Finance) && !caller.Scopes.Contains(Scopes.Finance))
            {
                return TenantErrors.ScopeNotYours;
            }

            var user = await db.Users.AsNoTracking().SingleAsync(u => u.Id == old.UserId, cancellationToken);
            if (old.UserId != caller.UserId && !RoleRules.MayGive(caller, user.Role))
            {
                return TenantErrors.RoleNotYours;
            }

            var (key, text) = old.Rotate(TimeSpan.FromHours(command.OverlapHours), now);
            db.Keys.Add(key);
            try
            {
                await db.SaveChangesAsync(cancellationToken);
            }
            catch (DbUpdateException e) when (e is DbUpdateConcurrencyException || e.InnerException is Npgsql.PostgresException { ConstraintName: "keys_replaced_once" })
            {
                return TenantErrors.KeyUnusable;
            }

            await audit.NoteAsync("key.rotated", old.Id, new { successor = key.Id, old_key_until = old.ExpiresAt }, cancellationToken);
            await mediator.Send(NewKeyMail.For(user, key), cancellationToken);
            return NewKeyView.Of(key, text);
        }
    }
}
