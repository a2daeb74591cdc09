using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>Makes another key of the tenant. Its text is in this answer and nowhere else.</summary>
internal static class CreateKey
{
    public static void Map(RouteGroupBuilder keys) => keys
        .MapPost("/", async (Command command, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(command, ct)).ToHttp(r =>
            {
                http.Response.Headers.Location = $"/v1/keys/{r.Id}";
                return TypedResults.Json(r, Json.Options, statusCode: StatusCodes.Status201Created);
            }))
        .WithName(nameof(CreateKey))
        .Produces<NewKeyView>(StatusCodes.Status201Created);

    /// <param name="UserId">Whose key it is; the caller's own user when left out. The user's role bounds the scopes.</param>
    /// <param name="DefaultAssistantId">The assistant of requests that name none (POST /v1/token).</param>
    public sealed record Command(
        string? Name, IReadOnlyList<string>? Scopes, KeyMode Mode = KeyMode.Live, DateTimeOffset? ExpiresAt = null, string? UserId = null, string? DefaultAssistantId = null)
        : ICommand<NewKeyView>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator(TimeProvider clock)
        {
            RuleFor(c => c.Name).IsKeyName();
            RuleFor(c => c.Scopes).AreScopes();
            RuleFor(c => c.ExpiresAt).IsAhead(clock);
            RuleFor(c => c.DefaultAssistantId).Must(id => id is null || Ids.IsWellFormed(id, Ids.Assistant)).WithMessage("'default_assistant_id' must be an assistant's id.");
        }
    }

    internal sealed class Handler(TenantDb db, Caller caller, AuditLog audit, IMediator mediator, TimeProvider clock) : IRequestHandler<Command, Result<NewKeyView>>
    {
        public async Task<Result<NewKeyView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var userId = command.UserId ?? caller.UserId;
            var user = await db.Users.AsNoTracking().SingleOrDefaultAsync(u => u.Id == userId && u.TenantId == caller.TenantId && u.DeletedAt == null, cancellationToken);
            if (user is null)
            {
                return TenantErrors.UserNotFound;
            }

            if (user.Id != caller.UserId && !RoleRules.MayGive(caller, user.Role))
            {
                return TenantErrors.RoleNotYours;
            }

            var scopes = command.Scopes!.Distinct().ToList();
            if (scopes.Except(Roles.ScopesOf(user.Role)).Any() || scopes.Except(Grantable(caller.Scopes)).Any())
            {
                return TenantErrors.ScopeNotYours;
            }

            var (key, text) = ApiKey.Issue(
                caller.TenantId, user.Id, command.Name!, scopes, command.Mode, command.ExpiresAt?.ToUniversalTime(), clock.GetUtcNow(), command.DefaultAssistantId);
            db.Keys.Add(key);
            await db.SaveChangesAsync(cancellationToken);
            await audit.NoteAsync("key.created", key.Id, new { key.Name, key.Hint, key.UserId, key.Scopes, key.Mode, key.ExpiresAt }, cancellationToken);
            await mediator.Send(NewKeyMail.For(user, key), cancellationToken);
            return NewKeyView.Of(key, text);
        }

        /// <summary>Admin's key does everything but read the ledger, and can pass that on.</summary>
        private static IEnumerable<string> Grantable(IReadOnlyList<string> own) => own.Contains(SharedKernel.Scopes.Admin)
            ? own.Union([SharedKernel.Scopes.Operate, SharedKernel.Scopes.Read])
            : own;
    }
}
