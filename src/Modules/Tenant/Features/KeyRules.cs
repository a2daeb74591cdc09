using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>What a key's fields may be.</summary>
internal static class KeyRules
{
    public static void IsKeyName<T>(this IRuleBuilder<T, string?> name) => name.NotEmpty().MaximumLength(ApiKey.NameMaxLength);

    public static void AreScopes<T>(this IRuleBuilder<T, IReadOnlyList<string>?> scopes) => scopes
        .NotEmpty()
        .ForEach(scope => scope.Must(s => Scopes.OfTenants.Contains(s)).WithMessage($"A scope is one of {string.Join(", ", Scopes.OfTenants)}."));

    public static void IsAhead<T>(this IRuleBuilder<T, DateTimeOffset?> expiresAt, TimeProvider clock) => expiresAt
        .Must(at => at is null || at > clock.GetUtcNow()).WithMessage("'expires_at' must be in the future.");
}
