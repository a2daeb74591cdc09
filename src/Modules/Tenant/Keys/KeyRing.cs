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
    private const string Find =
        $"""
        SELECT k.id, k.tenant_id, k.user_id, k.scopes, k.mode, u.role, k.default_assistant_id, k.last_used_at, set_config('{UnitOfWork.TenantSetting}', k.tenant_id, false)
        FROM tenant.keys k JOIN tenant.users u ON u.id = k.user_id
        WHERE k.hash = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $2) AND u.deleted_at IS NULL
        """;

    // Last use is kept to the minute, so that a busy key does not write a row a request.
    private static readonly TimeSpan UseInterval = TimeSpan.FromMinutes(1);

    public async Task<KnownKey?> FindAsync(string text, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        var connection = await unit.OpenForAuthenticationAsync(ct);
        KnownKey key;
        await using (var query = new NpgsqlCommand(Find, connection) { Parameters = { new() { Value = ApiKey.HashOf(text) }, new() { Value = now } } })
        {
            await using var row = await query.ExecuteReaderAsync(ct);
            if (!await row.ReadAsync(ct))
            {
                return null;
            }

            // A role that was narrowed narrows the keys that were made before.
            var allowed = Roles.ScopesOf(Roles.Parse(row.GetString(5)));
            key = new(
                row.GetString(0), row.GetString(1), row.GetString(2), row.GetFieldValue<string[]>(3).Intersect(allowed).ToList(), row.GetString(4) == "test", row.GetValue(6) as string);
            unit.Restricted(key.TenantId);
            if (!row.IsDBNull(7) && now - row.GetFieldValue<DateTimeOffset>(7) < UseInterval)
            {
                return key;
            }
        }

        // Of many at once, the first writes; the others find it written when they get the row.
        await using var used = new NpgsqlCommand("UPDATE tenant.keys SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $3)", connection)
        {
            Parameters = { new() { Value = key.Id }, new() { Value = now }, new() { Value = now - UseInterval } },
        };
        await used.ExecuteNonQueryAsync(ct);
        return key;
    }
}
