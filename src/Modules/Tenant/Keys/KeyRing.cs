using Npgsql;
using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Keys;

internal sealed record KnownKey(string Id, string TenantId, string UserId, IReadOnlyList<string> Scopes, bool IsTest, string? DefaultAssistantId);

/// <summary>
/// Finds the key behind a text. Asks the database every time: a revoked key stops working at once. The same statement restricts the request's
/// connection to the key's tenant.
/// </summary>
internal sealed class KeyRing(UnitOfWork unit, TimeProvider clock)
{
    // Last use is kept to the minute, so that a busy key does not write a row a request.
    private const string Sql =
        $"""
        WITH found AS (
          SELECT k.id, k.tenant_id, k.user_id, k.scopes, k.mode, k.last_used_at, k.default_assistant_id, u.role
          FROM tenant.keys k JOIN tenant.users u ON u.id = k.user_id
          WHERE k.hash = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $2) AND u.deleted_at IS NULL),
        used AS (
          UPDATE tenant.keys k SET last_used_at = $2 FROM found f
          WHERE k.id = f.id AND (f.last_used_at IS NULL OR f.last_used_at < $2 - interval '1 minute'))
        SELECT id, tenant_id, user_id, scopes, mode, role, default_assistant_id, set_config('{UnitOfWork.TenantSetting}', tenant_id, false) FROM found
        """;

    public async Task<KnownKey?> FindAsync(string text, CancellationToken ct)
    {
        await using var query = new NpgsqlCommand(Sql, await unit.OpenForAuthenticationAsync(ct));
        query.Parameters.Add(new() { Value = ApiKey.HashOf(text) });
        query.Parameters.Add(new() { Value = clock.GetUtcNow() });
        await using var row = await query.ExecuteReaderAsync(ct);
        if (!await row.ReadAsync(ct))
        {
            return null;
        }

        unit.Restricted(row.GetString(1));

        // A role that was narrowed narrows the keys that were made before.
        var allowed = Roles.ScopesOf(Roles.Parse(row.GetString(5)));
        return new(
            row.GetString(0), row.GetString(1), row.GetString(2), row.GetFieldValue<string[]>(3).Intersect(allowed).ToList(), row.GetString(4) == "test", row.GetValue(6) as string);
    }
}
