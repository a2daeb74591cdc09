using System.Security.Cryptography;
using System.Text;
using Npgsql;

namespace VoicePlatform.Host;

/// <summary>
/// Applies db/&lt;module&gt;/NNNN_*.sql in order, forward only, each in a transaction, all under an advisory lock. An applied file that
/// was changed afterwards stops the migration: history is not edited.
/// </summary>
internal static class Migrations
{
    /// <summary>Modules in the order in which they may refer to each other's roles and schemas.</summary>
    internal static readonly IReadOnlyList<string> Modules = ["platform", "tenant", "assistant", "session", "billing", "trunk", "call"];

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(6);

    private const long LockKey = 0x766f696365;

    /// <summary>The database took the connection and then said nothing.</summary>
    internal sealed class NoAnswerException(Exception inner) : Exception("The database does not answer.", inner);

    public static string Folder { get; } = Path.Combine(AppContext.BaseDirectory, "db");

    /// <returns>The names of the files that were applied now.</returns>
    public static async Task<IReadOnlyList<string>> ApplyAsync(NpgsqlDataSource source, CancellationToken ct)
    {
        await using var connection = await OpenAsync(source, ct);
        await ExecuteAsync(connection, $"SELECT pg_advisory_lock({LockKey})", ct);
        try
        {
            await ExecuteAsync(connection, "CREATE TABLE IF NOT EXISTS public.schema_history (name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())", ct);
            var applied = await AppliedAsync(connection, ct);
            var now = new List<string>();
            foreach (var (name, sql) in Files())
            {
                var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(sql)));
                if (applied.TryGetValue(name, out var known))
                {
                    if (known != hash)
                    {
                        throw new SettingsException($"Migration {name} was changed after it had been applied to this database: restore the file and add a new one.");
                    }

                    continue;
                }

                await using var transaction = await connection.BeginTransactionAsync(ct);
                await ExecuteAsync(connection, sql, ct);
                await using var note = new NpgsqlCommand("INSERT INTO public.schema_history (name, sha256) VALUES ($1, $2)", connection, transaction);
                note.Parameters.Add(new() { Value = name });
                note.Parameters.Add(new() { Value = hash });
                await note.ExecuteNonQueryAsync(ct);
                await transaction.CommitAsync(ct);
                now.Add(name);
            }

            // Also where nothing was applied: a table that somebody made by hand is guarded as well.
            await ExecuteAsync(connection, "SELECT platform.guard_tenants()", ct);
            return now;
        }
        finally
        {
            await ExecuteAsync(connection, $"SELECT pg_advisory_unlock({LockKey})", CancellationToken.None);
        }
    }

    /// <summary>The first file that this database lacks; null when it is up to date.</summary>
    public static async Task<string?> MissingAsync(NpgsqlDataSource source, CancellationToken ct)
    {
        await using var connection = await OpenAsync(source, ct);
        await using var exists = new NpgsqlCommand("SELECT to_regclass('public.schema_history') IS NOT NULL", connection);
        if (await exists.ExecuteScalarAsync(ct) is not true)
        {
            return Files().First().Name;
        }

        var applied = await AppliedAsync(connection, ct);
        return Files().Select(f => f.Name).FirstOrDefault(name => !applied.ContainsKey(name));
    }

    /// <summary>Npgsql would wait for a quarter of a minute; who starts a host wants to know sooner.</summary>
    private static async Task<NpgsqlConnection> OpenAsync(NpgsqlDataSource source, CancellationToken ct)
    {
        try
        {
            // Not by its token: a server that takes the connection and then says nothing is waited for whatever the token says.
            return await source.OpenConnectionAsync(ct).AsTask().WaitAsync(Patience, TimeProvider.System, ct);
        }
        catch (TimeoutException e)
        {
            throw new NoAnswerException(e);
        }
    }

    private static IEnumerable<(string Name, string Sql)> Files() =>
        from module in Modules
        from file in Directory.GetFiles(Path.Combine(Folder, module), "*.sql").Order(StringComparer.Ordinal)
        select ($"{module}/{Path.GetFileName(file)}", File.ReadAllText(file));

    private static async Task<Dictionary<string, string>> AppliedAsync(NpgsqlConnection connection, CancellationToken ct)
    {
        var applied = new Dictionary<string, string>();
        await using var query = new NpgsqlCommand("SELECT name, sha256 FROM public.schema_history", connection);
        await using var row = await query.ExecuteReaderAsync(ct);
        while (await row.ReadAsync(ct))
        {
            applied[row.GetString(0)] = row.GetString(1);
        }

        return applied;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync(ct);
    }
}
