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
        if (new NpgsqlConnectionStringBuilder(source.ConnectionString).MaxPoolSize < 2)
        {
            return;
        }

        await using var one = await source.OpenConnectionAsync(ct);
        await using var other = await source.OpenConnectionAsync(ct);
        var mark = RandomNumberGenerator.GetHexString(32);
        await using (var set = new NpgsqlCommand("SELECT set_config('app.probe', $1, false)", one) { Parameters = { new() { Value = mark } } })
        {
            await set.ExecuteNonQueryAsync(ct);
        }

        await using var read = new NpgsqlCommand("SELECT current_setting('app.probe', true)", other);
        if (await read.ExecuteScalarAsync(ct) as string == mark)
        {
            throw new SettingsException(
                "DATABASE_URL leads to a pooler that shares connections by transaction, where tenants could not be kept apart: let it share them by session, or connect to PostgreSQL itself.");
        }
    }
}
