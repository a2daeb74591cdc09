using System.Text.Json.Serialization;
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
            (await mediator.Send(command, ct)).ToHttp(made => SeedRoute.Success("API key created", made)))
        .WithName(nameof(SignUp))
        .WithTags("Seed 003")
        .AllowAnonymous()
        .ForSeed(SeedRoute.Envelope);

    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
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
                // Two first sign-ups at the same moment: the second waits here and then sees the first one's key.
                await using var lockFirst = new NpgsqlCommand("SELECT pg_advisory_xact_lock(hashtext('tenant.bootstrap'))", unit.Connection, unit.Transaction);
                await lockFirst.ExecuteNonQueryAsync(cancellationToken);
                if (await db.Keys.AnyAsync(cancellationToken))
                {
                    return TenantErrors.KeyCreationClosed;
                }
            }

            var opened = await mediator.Send(new OpenTenant(command.OrgName!.Trim(), command.UserName!.Trim(), command.UserEmail!.Trim()), cancellationToken);
            if (!opened.IsOk)
            {
                return opened.Error;
            }

            var (tenantId, userId) = opened.Value;
            var (key, text) = ApiKey.Issue(tenantId, userId, "first key", Scopes.OfTenants, KeyMode.Live, null, clock.GetUtcNow());
            db.Keys.Add(key);
            await db.SaveChangesAsync(cancellationToken);
            return new Response(text, tenantId, userId, key.Id);
        }
    }
}
