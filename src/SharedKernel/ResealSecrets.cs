using Microsoft.Extensions.Logging;
using Npgsql;

namespace VoicePlatform.SharedKernel;

/// <summary>A column of sealed secrets. Modules register theirs, so that a new SECRETS_KEY can be brought to all of them.</summary>
/// <param name="Table">As schema.table.</param>
/// <param name="Column">bytea; null where there is no secret.</param>
/// <param name="BelongsTo">SQL over a row: what its secret was sealed for.</param>
public sealed record SealedColumn(string Table, string Column, string BelongsTo = "id");

/// <summary>
/// While SECRETS_KEY_PREVIOUS is set, seals what it sealed again with SECRETS_KEY, a batch at a time; when nothing is left, the old key can go.
/// Two hosts at once, or a host that dies in between, do no harm: a secret is replaced only where it is still the one that was read.
/// </summary>
internal sealed partial class ResealSecrets(NpgsqlDataSource source, SecretBox box, IEnumerable<SealedColumn> columns, ILogger<ResealSecrets> log) : IScheduledJob
{
    private const int Batch = 200;

    public string Name => "platform.reseal-secrets";

    public Schedule Schedule => new Schedule.Every(TimeSpan.FromMinutes(5));

    public async Task RunAsync(CancellationToken ct)
    {
        if (!box.IsRotating)
        {
            return;
        }

        var (done, left) = (0, 0);
        foreach (var column in columns)
        {
            var after = "";
            while (await ReadAsync(column, after, ct) is { Count: > 0 } rows)
            {
                after = rows[^1].BelongsTo;
                foreach (var (belongsTo, sealedSecret) in rows.Where(r => !box.IsCurrent(r.Sealed)))
                {
                    try
                    {
                        await ReplaceAsync(column, belongsTo, sealedSecret, box.Seal(box.Open(sealedSecret, belongsTo), belongsTo), ct);
                        done++;
                    }
                    catch (System.Security.Cryptography.CryptographicException)
                    {
                        left++;     // Sealed with a key that neither setting names.
                    }
                }
            }
        }

        if (done > 0 || left > 0)
        {
            Resealed(log, done, left);
        }
    }

    private async Task<List<(string BelongsTo, byte[] Sealed)>> ReadAsync(SealedColumn c, string after, CancellationToken ct)
    {
        await using var read = source.CreateCommand($"SELECT {c.BelongsTo}, {c.Column} FROM {c.Table} WHERE {c.Column} IS NOT NULL AND ({c.BelongsTo}) COLLATE \"C\" > $1 ORDER BY ({c.BelongsTo}) COLLATE \"C\" LIMIT {Batch}");
        read.Parameters.Add(new() { Value = after });
        var rows = new List<(string, byte[])>();
        await using var row = await read.ExecuteReaderAsync(ct);
        while (await row.ReadAsync(ct))
        {
            rows.Add((row.GetString(0), row.GetFieldValue<byte[]>(1)));
        }

        return rows;
    }

    private async Task ReplaceAsync(SealedColumn c, string belongsTo, byte[] old, byte[] fresh, CancellationToken ct)
    {
        await using var replace = source.CreateCommand($"UPDATE {c.Table} SET {c.Column} = $3 WHERE {c.BelongsTo} = $1 AND {c.Column} = $2");
        replace.Parameters.Add(new() { Value = belongsTo });
        replace.Parameters.Add(new() { Value = old });
        replace.Parameters.Add(new() { Value = fresh });
        await replace.ExecuteNonQueryAsync(ct);
    }

    [LoggerMessage(LogLevel.Information, "{Done} secrets were sealed with the new SECRETS_KEY; {Left} cannot be opened with either key")]
    private static partial void Resealed(ILogger logger, int done, int left);
}
