using Npgsql;
using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Keys;

internal sealed record KnownKey(string Id, string TenantId, string UserId, IReadOnlyList<string> Scopes, bool IsTest);

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
          SELECT id, tenant_id, user_id, scopes, mode, last_used_at FROM tenant.keys
          WHERE hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)),
        used AS (
          UPDATE tenant.keys k SET last_used_at = $2 FROM found f
          WHERE k.id = f.id AND (f.last_used_at IS NULL OR f.last_used_at < $2 - interval '1 minute'))
        SELECT id, tenant_id, user_id, scopes, mode, set_config('{UnitOfWork.TenantSetting}', tenant_id, false) FROM found
        """;

    public async Task<KnownKey?> FindAsync(string text, CancellationToken ct)
    {
        await using var query = new NpgsqlCommand(Sql, await unit.OpenForAuthenticationAsync(ct));
        query.Parameters.Add(new() { Value = ApiKey.HashOf(text) });
        query.Parameters.Add(new() { Value = clock.GetUtcNow() });
        await using var row = await query.ExecuteReaderAsync(ct);
        return await row.ReadAsync(ct)
            ? new(row.GetString(0), row.GetString(1), row.GetString(2), row.GetFieldValue<string[]>(3), row.GetString(4) == "test")
            : null;
    }
}
