namespace VoicePlatform.Tenants.Data;

internal sealed class Tenant
{
    public const int NameMaxLength = 200;

    public string Id { get; private init; } = "";
    public string Name { get; private init; } = "";
    public DateTimeOffset CreatedAt { get; private init; }

    public static Tenant Open(string name, DateTimeOffset now) => new() { Id = Ids.New(Ids.Tenant, now), Name = name, CreatedAt = now };
}

internal sealed class User
{
    public const int NameMaxLength = 200;
    public const int EmailMaxLength = 254;

    public string Id { get; private init; } = "";
    public string TenantId { get; private init; } = "";
    public string Name { get; private init; } = "";
    public string Email { get; private init; } = "";
    public DateTimeOffset CreatedAt { get; private init; }

    public static User Join(string tenantId, string name, string email, DateTimeOffset now) =>
        new() { Id = Ids.New(Ids.User, now), TenantId = tenantId, Name = name, Email = email, CreatedAt = now };
}
