using Microsoft.Extensions.Options;
using Npgsql;
using VoicePlatform.Contracts.Tenants;
using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants;

/// <summary>A new tenant with its first user, an owner, and a key of all four scopes, by whichever door it came.</summary>
/// <param name="IsSignUp">Asked for by nobody we know: KEY_CREATION decides.</param>
internal sealed record NewTenant(string? UserName, string? OrgName, string? UserEmail, bool IsSignUp) : ICommand<NewTenantView>
{
    internal sealed class Validator : AbstractValidator<NewTenant>
    {
        public Validator()
        {
            RuleFor(c => c.UserName).NotEmpty().MaximumLength(User.NameMaxLength).WithName("user_name");
            RuleFor(c => c.OrgName).NotEmpty().MaximumLength(Data.Tenant.NameMaxLength).WithName("org_name");
            RuleFor(c => c.UserEmail).NotEmpty().MaximumLength(User.EmailMaxLength).EmailAddress().WithName("user_email");
        }
    }
}

/// <param name="ApiKey">In this answer only.</param>
internal sealed record NewTenantView(string ApiKey, string TenantId, string UserId, string KeyId);

internal sealed class NewTenantHandler(TenantDb db, UnitOfWork unit, IMediator mediator, AuditLog audit, IOptions<TenantOptions> options, TimeProvider clock)
    : IRequestHandler<NewTenant, Result<NewTenantView>>
{
    public async Task<Result<NewTenantView>> Handle(NewTenant command, CancellationToken cancellationToken)
    {
        if (command.IsSignUp && !await MaySignUpAsync(cancellationToken))
        {
            return TenantErrors.KeyCreationClosed;
        }

        var now = clock.GetUtcNow();
        var tenant = Data.Tenant.Open(command.OrgName!.Trim(), now);
        var user = User.Join(tenant.Id, command.UserName!.Trim(), command.UserEmail!.Trim(), Role.Owner, now);
        var (key, text) = ApiKey.Issue(tenant.Id, user.Id, "first key", Scopes.OfTenants, KeyMode.Live, null, now);
        db.AddRange(tenant, user, key);
        await db.SaveChangesAsync(cancellationToken);
        await audit.NoteAsync("tenant.opened", tenant.Id, new { tenant.Name, user_id = user.Id, key_id = key.Id, sign_up = command.IsSignUp }, cancellationToken, tenant.Id);
        await mediator.Publish((INotification)new TenantOpened(tenant.Id, now), cancellationToken);
        return new NewTenantView(text, tenant.Id, user.Id, key.Id);
    }

    private async Task<bool> MaySignUpAsync(CancellationToken ct)
    {
        if (options.Value.KeyCreation is not KeyCreation.Bootstrap)
        {
            return options.Value.KeyCreation is KeyCreation.Open;
        }

        // Two first sign-ups at the same moment: the second waits here and then sees the first one's tenant.
        await using var lockFirst = new NpgsqlCommand("SELECT pg_advisory_xact_lock(hashtext('tenant.bootstrap'))", unit.Connection, unit.Transaction);
        await lockFirst.ExecuteNonQueryAsync(ct);
        return !await db.Tenants.AnyAsync(ct);
    }
}
