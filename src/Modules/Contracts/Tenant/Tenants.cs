namespace VoicePlatform.Contracts.Tenants;

/// <summary>Not found when there is no such tenant.</summary>
public sealed record FindTenant(string TenantId) : IRequest<Result<KnownTenant>>;

public sealed record KnownTenant(string TenantId, string Name);

/// <summary>Who of the tenant's people this is; not found for another tenant's.</summary>
public sealed record FindUser(string TenantId, string UserId) : IRequest<Result<KnownUser>>;

public sealed record KnownUser(string UserId, string Name, string Email);

/// <summary>Makes a tenant with one user and no key; its account opens with it.</summary>
public sealed record OpenTenant(string Name, string UserName, string UserEmail) : ICommand<OpenedTenant>;

public sealed record OpenedTenant(string TenantId, string UserId);
