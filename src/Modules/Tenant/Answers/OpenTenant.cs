using VoicePlatform.Contracts.Tenants;
using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Answers;

internal sealed class OpenTenantHandler(TenantDb db, IMediator mediator, TimeProvider clock) : IRequestHandler<OpenTenant, Result<OpenedTenant>>
{
    public async Task<Result<OpenedTenant>> Handle(OpenTenant request, CancellationToken cancellationToken)
    {
        var now = clock.GetUtcNow();
        var tenant = Tenant.Open(request.Name, now);
        var user = User.Join(tenant.Id, request.UserName, request.UserEmail, Role.Owner, now);
        db.AddRange(tenant, user);
        await db.SaveChangesAsync(cancellationToken);
        await mediator.Publish((INotification)new TenantOpened(tenant.Id, now), cancellationToken);
        return new OpenedTenant(tenant.Id, user.Id);
    }
}
