using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>Makes another key of the tenant. Its text is in this answer and nowhere else.</summary>
internal static class CreateKey
{
    public static void Map(RouteGroupBuilder keys) => keys
        .MapPost("/", async (Command command, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(command, ct)).ToHttp(r => TypedResults.Json(r, Json.Options, statusCode: StatusCodes.Status201Created)))
        .WithName(nameof(CreateKey))
        .Produces<Response>(StatusCodes.Status201Created);

    public sealed record Command(string? Name, IReadOnlyList<string>? Scopes, KeyMode Mode = KeyMode.Live, DateTimeOffset? ExpiresAt = null) : ICommand<Response>;

    public sealed record Response(string Id, string Key, string Name, IReadOnlyList<string> Scopes, KeyMode Mode, DateTimeOffset CreatedAt, DateTimeOffset? ExpiresAt);

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator(TimeProvider clock)
        {
            RuleFor(c => c.Name).NotEmpty().MaximumLength(ApiKey.NameMaxLength);
            RuleFor(c => c.Scopes).NotEmpty();
            RuleForEach(c => c.Scopes).Must(s => SharedKernel.Scopes.OfTenants.Contains(s))
                .WithMessage($"A scope is one of {string.Join(", ", SharedKernel.Scopes.OfTenants)}.");
            RuleFor(c => c.ExpiresAt).Must(at => at is null || at > clock.GetUtcNow()).WithMessage("'expires_at' must be in the future.");
        }
    }

    internal sealed class Handler(TenantDb db, Caller caller, TimeProvider clock) : IRequestHandler<Command, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Command command, CancellationToken cancellationToken)
        {
            var (key, text) = ApiKey.Issue(
                caller.TenantId, caller.UserId!, command.Name!, command.Scopes!.Distinct(), command.Mode, command.ExpiresAt?.ToUniversalTime(), clock.GetUtcNow());
            db.Keys.Add(key);
            await db.SaveChangesAsync(cancellationToken);
            return new Response(key.Id, text, key.Name, key.Scopes, key.Mode, key.CreatedAt, key.ExpiresAt);
        }
    }
}
