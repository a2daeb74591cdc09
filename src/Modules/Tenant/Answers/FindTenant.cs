using VoicePlatform.Contracts.Tenants;
using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Answers;

internal sealed class FindTenantHandler(TenantDb db) : IRequestHandler<FindTenant, Result<KnownTenant>>
{
    public async Task<Result<KnownTenant>> Handle(FindTenant request, CancellationToken cancellationToken) =>
        await db.Tenants.AsNoTracking().Where(t => t.Id == request.TenantId).Select(t => new KnownTenant(t.Id, t.Name)).SingleOrDefaultAsync(cancellationToken) is { } found
            ? found
            : TenantErrors.NotFound;
}

internal sealed class FindUserHandler(TenantDb db) : IRequestHandler<FindUser, Result<KnownUser>>
{
    public async Task<Result<KnownUser>> Handle(FindUser request, CancellationToken cancellationToken) =>
        await db.Users.AsNoTracking().Where(u => u.Id == request.UserId && u.TenantId == request.TenantId)
            .Select(u => new KnownUser(u.Id, u.Name, u.Email)).SingleOrDefaultAsync(cancellationToken) is { } found
            ? found
            : TenantErrors.UserNotFound;
}
