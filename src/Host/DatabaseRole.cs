using Npgsql;

namespace VoicePlatform.Host;

/// <summary>
/// What keeps tenants apart and the ledger as it was written holds only for a role that does not own the tables. Who runs in production as the owner
/// is stopped; in development it is said.
/// </summary>
internal static partial class DatabaseRole
{
    /// <exception cref="SettingsException">In production: the role owns the tables, or is above their rules.</exception>
    public static async Task CheckAsync(NpgsqlDataSource source, bool isDevelopment, ILogger log, CancellationToken ct)
    {
        await using var ask = source.CreateCommand(
            """
            SELECT current_user::text, r.rolsuper OR r.rolbypassrls OR pg_has_role(current_user, c.relowner, 'USAGE')
            FROM pg_roles r, pg_class c WHERE r.rolname = current_user AND c.oid = 'tenant.tenants'::regclass
            """);
        await using var row = await ask.ExecuteReaderAsync(ct);
        if (!await row.ReadAsync(ct) || !row.GetBoolean(1))
        {
            return;
        }

        if (!isDevelopment)
        {
            throw new SettingsException(
                $"DATABASE_URL connects as {row.GetString(0)}, which owns the tables or is above their rules: give the host a role that is a member of voiceplatform_app only, and keep the owner for MIGRATE_DATABASE_URL.");
        }

        AboveTheRules(log, row.GetString(0));
    }

    [LoggerMessage(LogLevel.Warning, "DATABASE_URL connects as {Role}, which owns the tables or is above their rules: row security and the ledger's guards do not hold for it")]
    private static partial void AboveTheRules(ILogger logger, string role);
}
