namespace VoicePlatform.Tenants.Data;

/// <summary>What a person may do, and so the most that a key of his may.</summary>
internal enum Role { Owner, Admin, Developer, Finance, Viewer }

internal static class Roles
{
    public static IReadOnlyList<string> ScopesOf(Role role) => role switch
    {
        Role.Owner => Scopes.OfTenants,
        Role.Admin => [Scopes.Admin, Scopes.Operate, Scopes.Read],
        Role.Developer => [Scopes.Operate, Scopes.Read],
        Role.Finance => [Scopes.Finance],
        Role.Viewer => [Scopes.Read],
        _ => throw new ArgumentOutOfRangeException(nameof(role), role, null),
    };

    public static string Text(Role role) => role.ToString().ToLowerInvariant();

    public static Role Parse(string text) => Enum.Parse<Role>(text, ignoreCase: true);
}

internal sealed class User
{
    public const int NameMaxLength = 200;
    public const int EmailMaxLength = 254;

    public string Id { get; private init; } = "";
    public string TenantId { get; private init; } = "";
    public string Name { get; private set; } = "";
    public string Email { get; private set; } = "";
    public Role Role { get; private set; }
    public int Revision { get; private set; }
    public DateTimeOffset CreatedAt { get; private init; }
    public DateTimeOffset UpdatedAt { get; private set; }
    public DateTimeOffset? DeletedAt { get; private set; }

    public static User Join(string tenantId, string name, string email, Role role, DateTimeOffset now) => new()
    {
        Id = Ids.New(Ids.User, now), TenantId = tenantId, Name = name, Email = email, Role = role, Revision = 1, CreatedAt = now, UpdatedAt = now,
    };

    public void Change(string name, string email, Role role, DateTimeOffset now) =>
        (Name, Email, Role, Revision, UpdatedAt) = (name, email, role, Revision + 1, now);

    public void Leave(DateTimeOffset now) => (DeletedAt, UpdatedAt) = (now, now);
}
