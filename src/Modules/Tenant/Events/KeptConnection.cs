using System.Data;
using Npgsql;

namespace VoicePlatform.Tenants.Events;

/// <summary>
/// A connection that one loop keeps: what runs a hundred times a second is planned once, which a connection that goes back to the pool each time
/// forgets. Opened anew after it broke. For one user at a time.
/// </summary>
internal sealed class KeptConnection(NpgsqlDataSource source) : IAsyncDisposable
{
    private NpgsqlConnection? _connection;

    /// <returns>The statement with its parameters, prepared.</returns>
    public async Task<NpgsqlCommand> PrepareAsync(string sql, CancellationToken ct, params NpgsqlParameter[] parameters)
    {
        if (_connection is not { State: ConnectionState.Open })
        {
            await DisposeAsync();
            _connection = await source.OpenConnectionAsync(ct);
        }

        var command = new NpgsqlCommand(sql, _connection);
        command.Parameters.AddRange(parameters);
        await command.PrepareAsync(ct);
        return command;
    }

    public async ValueTask DisposeAsync()
    {
        if (_connection is { } connection)
        {
            _connection = null;
            await connection.DisposeAsync();
        }
    }
}
