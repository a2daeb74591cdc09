using Microsoft.Extensions.Options;
using Npgsql;
using VoicePlatform.Contracts.Tenants;
using VoicePlatform.Tenants.Data;
using VoicePlatform.Tenants.Features;

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

        var opened = await mediator.Send(new OpenTenant(command.OrgName!.Trim(), command.UserName!.Trim(), command.UserEmail!.Trim()), cancellationToken);
        if (!opened.IsOk)
        {
            return opened.Error;
        }

        var (tenantId, userId) = opened.Value;
        var (key, text) = ApiKey.Issue(tenantId, userId, "first key", Scopes.OfTenants, KeyMode.Live, null, clock.GetUtcNow());
        db.Keys.Add(key);
        await db.SaveChangesAsync(cancellationToken);
        await audit.NoteAsync("tenant.opened", tenantId, new { name = command.OrgName, user_id = userId, key_id = key.Id, sign_up = command.IsSignUp }, cancellationToken, tenantId);
        await mediator.Send(NewKeyMail.For(await db.Users.SingleAsync(u => u.Id == userId, cancellationToken), key), cancellationToken);
        return new NewTenantView(text, tenantId, userId, key.Id);
    }

    private async Task<bool> MaySignUpAsync(CancellationToken ct)
    {
        if (options.Value.KeyCreation is not KeyCreation.Bootstrap)
        {
            return options.Value.KeyCreation is KeyCreation.Open;
        }

        // Two first sign-ups at the same moment: the second waits here and then sees the first one's key. The tenant of the open doors has none.
        await using var lockFirst = new NpgsqlCommand("SELECT pg_advisory_xact_lock(hashtext('tenant.bootstrap'))", unit.Connection, unit.Transaction);
        await lockFirst.ExecuteNonQueryAsync(ct);
        return !await db.Keys.AnyAsync(ct);
    }
}
