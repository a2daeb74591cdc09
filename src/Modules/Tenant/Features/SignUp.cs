using Npgsql;
using Microsoft.Extensions.Options;
using VoicePlatform.Contracts.Tenants;
using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>Seed 003's POST /auth/create-key: a new tenant with a user and a key of all four scopes.</summary>
internal static class SignUp
{
    public static void Map(IEndpointRouteBuilder app) => app
        .MapPost("/auth/create-key", async (Command command, IMediator mediator, CancellationToken ct) =>
        {
            var result = await mediator.Send(command, ct);
            return result.IsOk
                ? Results.Json(new { success = true, message = "API key created", data = result.Value }, Json.Options)
                : Results.Json(
                    new { success = false, message = result.Error.Message, data = (object?)null },
                    Json.Options,
                    statusCode: result.Error.Kind is ErrorKind.Invalid ? StatusCodes.Status400BadRequest : HttpResults.StatusOf(result.Error.Kind));
        })
        .WithName(nameof(SignUp))
        .WithTags("Seed 003")
        .AllowAnonymous();

    public sealed record Command(string? UserName, string? OrgName, string? UserEmail) : ICommand<Response>;

    public sealed record Response(string ApiKey, string TenantId, string UserId, string KeyId);

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.UserName).NotEmpty().MaximumLength(User.NameMaxLength).WithName("user_name");
            RuleFor(c => c.OrgName).NotEmpty().MaximumLength(Tenant.NameMaxLength).WithName("org_name");
            RuleFor(c => c.UserEmail).NotEmpty().MaximumLength(User.EmailMaxLength).EmailAddress().WithName("user_email");
        }
    }

    internal sealed class Handler(TenantDb db, UnitOfWork unit, IMediator mediator, IOptions<TenantOptions> options, TimeProvider clock)
        : IRequestHandler<Command, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Command command, CancellationToken cancellationToken)
        {
            if (options.Value.KeyCreation is KeyCreation.Closed)
            {
                return TenantErrors.KeyCreationClosed;
            }

            if (options.Value.KeyCreation is KeyCreation.Bootstrap)
            {
                // Two first sign-ups at the same moment: the second waits here and then sees the first one's tenant.
                await using var lockFirst = new NpgsqlCommand("SELECT pg_advisory_xact_lock(hashtext('tenant.bootstrap'))", unit.Connection, unit.Transaction);
                await lockFirst.ExecuteNonQueryAsync(cancellationToken);
                if (await db.Tenants.AnyAsync(cancellationToken))
                {
                    return TenantErrors.KeyCreationClosed;
                }
            }

            var now = clock.GetUtcNow();
            var tenant = Tenant.Open(command.OrgName!.Trim(), now);
            var user = User.Join(tenant.Id, command.UserName!.Trim(), command.UserEmail!.Trim(), now);
            var (key, text) = ApiKey.Issue(tenant.Id, user.Id, "first key", Scopes.OfTenants, KeyMode.Live, null, now);
            db.AddRange(tenant, user, key);
            await db.SaveChangesAsync(cancellationToken);
            await mediator.Publish((INotification)new TenantOpened(tenant.Id, now), cancellationToken);
            await mediator.Send(
                new SendMail(
                    tenant.Id,
                    user.Email,
                    "Your API key was created",
                    $"""
                    {user.Name}, an API key of {tenant.Name} was created in your name. It ends in {key.Hint}; its text was shown to whoever created it, and is kept nowhere.

                    If that was not you, let the operator of this installation know.
                    """),
                cancellationToken);
            return new Response(text, tenant.Id, user.Id, key.Id);
        }
    }
}
