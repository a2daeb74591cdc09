using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

internal sealed record UserView(string Id, string Name, string Email, Role Role, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt)
{
    public static UserView Of(User u) => new(u.Id, u.Name, u.Email, u.Role, u.CreatedAt, u.UpdatedAt);
}

/// <summary>A user with the revision that its entity tag tells.</summary>
internal sealed record UserAnswer(UserView User, int Revision)
{
    public static UserAnswer Of(User u) => new(UserView.Of(u), u.Revision);

    public static IResult Tell(UserAnswer answer, HttpContext http, int status = StatusCodes.Status200OK) =>
        Etag.Answer(http, answer.User, answer.Revision, status, $"/v1/users/{answer.User.Id}");
}

internal static class RoleRules
{
    /// <summary>Nobody raises anybody above himself: roles that reach the ledger take a key that does.</summary>
    public static bool MayGive(Caller caller, Role role) => caller.Scopes.Contains(Scopes.Finance) || !Roles.ScopesOf(role).Contains(Scopes.Finance);

    public static async Task<bool> IsLastOwnerAsync(this TenantDb db, User user, CancellationToken ct) =>
        !await db.Users.AnyAsync(u => u.TenantId == user.TenantId && u.Id != user.Id && u.Role == Role.Owner && u.DeletedAt == null, ct);

    /// <summary>Held while the last owner is looked for, so that two owners cannot remove each other at the same moment.</summary>
    public static Task LockOwnersAsync(TenantDb db, string tenantId, CancellationToken ct) =>
        db.Database.ExecuteSqlAsync($"SELECT pg_advisory_xact_lock(hashtextextended('tenant.owners:' || {tenantId}, 0))", ct);
}
