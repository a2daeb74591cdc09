using System.Security.Cryptography;
using Npgsql;

namespace VoicePlatform.Host;

/// <summary>
/// What a connection was told of its tenant (app.tenant) must stay with it. A pooler that gives a connection to somebody else after each transaction would
/// show one tenant's rows to another, and hide a conversation's hold from whoever charges it: with such a pooler the host does not start.
/// </summary>
internal static class SharedConnections
{
    /// <exception cref="SettingsException">What one connection sets, another one sees.</exception>
    public static async Task CheckAsync(NpgsqlDataSource source, CancellationToken ct)
    {
        await using var one = await source.OpenConnectionAsync(ct);
        await using var other = new NpgsqlConnectionStringBuilder(source.ConnectionString).MaxPoolSize > 1 ? await source.OpenConnectionAsync(ct) : null;
        var mark = RandomNumberGenerator.GetHexString(32);
        await using (var set = new NpgsqlCommand("SELECT set_config('app.probe', $1, false)", one) { Parameters = { new() { Value = mark } } })
        {
            await set.ExecuteNonQueryAsync(ct);
        }

        try
        {
            // Whoever begins something now would get the connection that was just given back; and then the first one another.
            await using var begun = other is null ? null : await other.BeginTransactionAsync(ct);
            if ((other is not null && await ReadAsync(other, ct) == mark) || await ReadAsync(one, ct) != mark)
            {
                throw Shared();
            }
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.ProtocolViolation)
        {
            throw Shared();     // PgBouncer allows no transactions at all where it shares connections by statement.
        }
    }

    private static SettingsException Shared() => new(
        "DATABASE_URL leads to a pooler that shares connections by transaction, where tenants could not be kept apart: let it share them by session, or connect to PostgreSQL itself.");

    private static async Task<string?> ReadAsync(NpgsqlConnection connection, CancellationToken ct)
    {
        await using var read = new NpgsqlCommand("SELECT current_setting('app.probe', true)", connection);
        return await read.ExecuteScalarAsync(ct) as string;
    }
}
