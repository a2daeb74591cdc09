using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>A key as the API shows it: everything but the key.</summary>
/// <param name="Hint">The key's last four characters.</param>
/// <param name="Replaces">The key whose place it took by rotation.</param>
internal sealed record KeyView(
    string Id, string Name, string Hint, string UserId, IReadOnlyList<string> Scopes, KeyMode Mode, string? DefaultAssistantId, string? Replaces,
    DateTimeOffset CreatedAt, DateTimeOffset? ExpiresAt, DateTimeOffset? RevokedAt, DateTimeOffset? LastUsedAt)
{
    public static KeyView Of(ApiKey k) => new(
        k.Id, k.Name, k.Hint, k.UserId, k.Scopes, k.Mode, k.DefaultAssistantId, k.Replaces, k.CreatedAt, k.ExpiresAt, k.RevokedAt, k.LastUsedAt);
}

/// <summary>A key that was made just now: the only answer that has its text.</summary>
internal sealed record NewKeyView(
    string Id, string Key, string Name, string UserId, IReadOnlyList<string> Scopes, KeyMode Mode, string? DefaultAssistantId, string? Replaces,
    DateTimeOffset CreatedAt, DateTimeOffset? ExpiresAt)
{
    public static NewKeyView Of(ApiKey k, string text) => new(k.Id, text, k.Name, k.UserId, k.Scopes, k.Mode, k.DefaultAssistantId, k.Replaces, k.CreatedAt, k.ExpiresAt);
}
