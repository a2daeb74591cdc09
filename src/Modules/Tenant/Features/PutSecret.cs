using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>A secret as the API shows it: never its value.</summary>
internal sealed record SecretView(string Name, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt)
{
    public static SecretView Of(Secret s) => new(s.Name, s.CreatedAt, s.UpdatedAt);
}

/// <summary>A secret with the revision that its entity tag tells.</summary>
internal sealed record SecretAnswer(SecretView Secret, int Revision)
{
    public static SecretAnswer Of(Secret s) => new(SecretView.Of(s), s.Revision);

    public static IResult Tell(SecretAnswer answer, HttpContext http, int status = StatusCodes.Status200OK) =>
        Etag.Answer(http, answer.Secret, answer.Revision, status, $"/v1/secrets/{answer.Secret.Name}");
}

/// <summary>
/// Keeps a secret of the tenant, or replaces it: a provider's key (OPENAI_API_KEY and the like stand in for the operator's), or what a
/// tool's headers name as {{secrets.NAME}}.
/// </summary>
internal static class PutSecret
{
    public static void Map(RouteGroupBuilder secrets) => secrets
        .MapPut("/{name}", async (string name, Body body, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(name, body.Value, Etag.Wanted(http)), ct))
            .ToHttp(r => SecretAnswer.Tell(r, http, r.Revision == 1 ? StatusCodes.Status201Created : StatusCodes.Status200OK)))
        .WithName(nameof(PutSecret))
        .Produces<SecretView>()
        .Produces<SecretView>(StatusCodes.Status201Created);

    public sealed record Body(string? Value);

    public sealed record Command(string Name, string? Value, string IfMatch) : ICommand<SecretAnswer>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Name).Matches("^[A-Z][A-Z0-9_]{0,63}$").WithMessage("A secret's name is made of A-Z, 0-9 and '_', begins with a letter and has up to 64 characters.");
            RuleFor(c => c.Value).NotEmpty().MaximumLength(Secret.ValueMaxLength);
            RuleFor(c => c.Value).Must(v => v is null || !Mask.IsMasked(v)).WithErrorCode("masked").WithMessage("This is the mask that answers show, not a secret.");
            RuleFor(c => c.Value).Must(v => v is null || !v.Any(char.IsControl)).WithMessage("'value' must not have control characters.");
        }
    }

    internal sealed class Handler(TenantDb db, Caller caller, SecretBox box, AuditLog audit, TimeProvider clock) : IRequestHandler<Command, Result<SecretAnswer>>
    {
        public async Task<Result<SecretAnswer>> Handle(Command command, CancellationToken cancellationToken)
        {
            // Two first writes of one name at the same moment: the second waits and then replaces.
            await db.Database.ExecuteSqlAsync($"SELECT pg_advisory_xact_lock(hashtextextended('secret:' || {caller.TenantId} || ':' || {command.Name}, 0))", cancellationToken);
            var now = clock.GetUtcNow();
            var secret = await db.Secrets.SingleOrDefaultAsync(s => s.TenantId == caller.TenantId && s.Name == command.Name, cancellationToken);
            if (Etag.Refusal(command.IfMatch, secret?.Revision ?? 0) is { } changed)
            {
                return changed;
            }

            if (secret is null)
            {
                secret = Secret.Keep(caller.TenantId, command.Name, command.Value!, box, now);
                db.Secrets.Add(secret);
            }
            else
            {
                secret.Change(command.Value!, box, now);
            }

            await db.SaveChangesAsync(cancellationToken);
            await audit.NoteAsync(secret.Revision == 1 ? "secret.created" : "secret.replaced", secret.Name, null, cancellationToken);
            return SecretAnswer.Of(secret);
        }
    }
}
