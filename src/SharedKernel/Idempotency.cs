using Npgsql;

namespace VoicePlatform.SharedKernel;

/// <summary>The Idempotency-Key of a request, and what the request asked for.</summary>
/// <param name="Text">1 to 255 printable characters.</param>
/// <param name="RequestHash">SHA-256 of method, address and body: the same key for something else is a mistake.</param>
public sealed record IdempotencyKey(string Text, byte[] RequestHash);

/// <summary>The key that the request of this scope came with. The first command or effect it leads to takes it.</summary>
public sealed class RequestKey
{
    private IdempotencyKey? _key;

    /// <summary>The answer is that of an earlier request; nothing happened now.</summary>
    public bool IsReplay { get; internal set; }

    public void Set(IdempotencyKey key) => _key = key;

    internal IdempotencyKey? Take()
    {
        var key = _key;
        _key = null;
        return key;
    }
}

/// <summary>
/// Does a keyed request once and replays its answer for 24 hours. A second request with the key while the first runs is refused (409),
/// one that asks for something else too (422). A failure stores nothing. Answers are sealed: some hold a secret.
/// </summary>
internal sealed class Idempotency(NpgsqlDataSource source, UnitOfWork unit, Caller caller, RequestKey requestKey, SecretBox box, TimeProvider clock)
{
    private const string Platform = "platform";
    private static readonly TimeSpan Kept = TimeSpan.FromHours(24);

    // Longer than any effect takes: after it, whoever did it has died.
    private static readonly TimeSpan LongestEffect = TimeSpan.FromMinutes(5);
    private static readonly Error Running = new(ErrorKind.Conflict, "idempotency_in_progress", "A request with this Idempotency-Key is still being answered.") { RetryAfter = TimeSpan.FromSeconds(1) };
    private static readonly Error Reused = new(ErrorKind.Invalid, "idempotency_key_reused", "This Idempotency-Key was used for another request.");

    private string Owner => caller.HasTenant ? caller.TenantId : Platform;

    /// <summary>For a command: its answer is stored in the transaction of its work, so that both are there or neither.</summary>
    public async Task<T> OnceInsideAsync<T>(IdempotencyKey key, RequestKey asked, Func<Task<T>> work, CancellationToken ct)
        where T : IFailable<T>
    {
        await using (var tryLock = Inside("SELECT pg_try_advisory_xact_lock(hashtextextended('idempotency:' || $1 || ':' || $2, 0))", Owner, key.Text))
        {
            if (await tryLock.ExecuteScalarAsync(ct) is not true)
            {
                return T.Failed(Running);
            }
        }

        var now = clock.GetUtcNow();
        await using (var find = Inside("SELECT request_hash, answer FROM platform.idempotency WHERE tenant_id = $1 AND key = $2 AND (created_at > $3 AND answer IS NOT NULL OR running_until > $4)", Owner, key.Text, now - Kept, now))
        {
            await using var row = await find.ExecuteReaderAsync(ct);
            if (await row.ReadAsync(ct))
            {
                return Found<T>(key, asked, row.GetFieldValue<byte[]>(0), row.GetValue(1) as byte[]);
            }
        }

        var result = await work();
        if (result.Error is null)
        {
            await using var store = Inside(
                """
                INSERT INTO platform.idempotency (tenant_id, key, request_hash, answer, created_at) VALUES ($1, $2, $3, $4, $5)
                ON CONFLICT (tenant_id, key) DO UPDATE SET request_hash = excluded.request_hash, answer = excluded.answer, running_until = NULL, created_at = excluded.created_at
                """,
                Owner, key.Text, key.RequestHash, Seal(key, result.ToJson()), now);
            await store.ExecuteNonQueryAsync(ct);
        }

        return result;
    }

    /// <summary>
    /// For an effect outside of the database: the key is taken first and the answer stored afterwards. Whoever dies or fails in between leaves the key
    /// taken for five minutes: what became of the effect is unknown, so it is not done again at once. A refusal gives the key back.
    /// </summary>
    public async Task<T> OnceOutsideAsync<T>(IdempotencyKey key, Func<Task<T>> work)
        where T : IFailable<T>
    {
        var now = clock.GetUtcNow();
        if (!await TakeAsync(key, now))
        {
            await using var find = source.CreateCommand("SELECT request_hash, answer FROM platform.idempotency WHERE tenant_id = $1 AND key = $2");
            Fill(find, Owner, key.Text);
            await using var row = await find.ExecuteReaderAsync();
            return await row.ReadAsync() ? Found<T>(key, requestKey, row.GetFieldValue<byte[]>(0), row.GetValue(1) as byte[]) : T.Failed(Running);
        }

        var result = await work();
        await using var note = source.CreateCommand(result.Error is null
            ? "UPDATE platform.idempotency SET answer = $4, running_until = NULL WHERE tenant_id = $1 AND key = $2 AND created_at = $3"
            : "DELETE FROM platform.idempotency WHERE tenant_id = $1 AND key = $2 AND created_at = $3 AND answer IS NULL");
        Fill(note, Owner, key.Text, now);
        if (result.Error is null)
        {
            Fill(note, Seal(key, result.ToJson()));
        }

        await note.ExecuteNonQueryAsync();
        return result;
    }

    private async Task<bool> TakeAsync(IdempotencyKey key, DateTimeOffset now)
    {
        await using var take = source.CreateCommand(
            """
            INSERT INTO platform.idempotency AS i (tenant_id, key, request_hash, running_until, created_at) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (tenant_id, key) DO UPDATE SET request_hash = excluded.request_hash, answer = NULL, running_until = excluded.running_until, created_at = excluded.created_at
              WHERE i.created_at <= $6 OR (i.answer IS NULL AND i.running_until < $5)
            """);
        Fill(take, Owner, key.Text, key.RequestHash, now + LongestEffect, now, now - Kept);
        return await take.ExecuteNonQueryAsync() == 1;
    }

    private T Found<T>(IdempotencyKey key, RequestKey asked, byte[] hash, byte[]? answer)
        where T : IFailable<T>
    {
        if (!hash.AsSpan().SequenceEqual(key.RequestHash))
        {
            return T.Failed(Reused);
        }

        if (answer is null)
        {
            return T.Failed(Running);
        }

        asked.IsReplay = true;
        return T.FromJson(box.Open(answer, BelongsTo(key)));
    }

    private byte[] Seal(IdempotencyKey key, string answer) => box.Seal(answer, BelongsTo(key));

    private string BelongsTo(IdempotencyKey key) => $"idempotency:{Owner}:{key.Text}";

    private NpgsqlCommand Inside(string sql, params object[] values)
    {
        var command = new NpgsqlCommand(sql, unit.Connection, unit.Transaction ?? throw new InvalidOperationException("A command's answer is stored in its unit of work."));
        Fill(command, values);
        return command;
    }

    private static void Fill(NpgsqlCommand command, params object[] values)
    {
        foreach (var value in values)
        {
            command.Parameters.Add(new() { Value = value });
        }
    }
}
