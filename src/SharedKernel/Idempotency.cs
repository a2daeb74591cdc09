using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Npgsql;

namespace VoicePlatform.SharedKernel;

/// <summary>The Idempotency-Key of a request, and what the request asked for.</summary>
/// <param name="Text">1 to 255 printable characters.</param>
/// <param name="RequestHash">SHA-256 of route and body: the same key for something else is a mistake.</param>
public sealed record IdempotencyKey(string Text, byte[] RequestHash)
{
    private const string Header = "Idempotency-Key";
    private const string ReplayedHeader = "Idempotency-Replayed";
    private const int MaxLength = 255;

    /// <summary>Null when the request has none; malformed when it cannot be one.</summary>
    /// <param name="body">What was asked, as it was understood: two spellings of one request are one.</param>
    public static Result<IdempotencyKey?> Of<T>(HttpContext http, T body)
    {
        var text = http.Request.Headers[Header].ToString();
        if (text.Length == 0)
        {
            return (IdempotencyKey?)null;
        }

        if (text.Length > MaxLength || text.AsSpan().ContainsAnyExceptInRange(' ', '~'))
        {
            return new Error(ErrorKind.Malformed, "idempotency_key_malformed", $"'{Header}' must be 1 to {MaxLength} printable ASCII characters.");
        }

        return new IdempotencyKey(text, SHA256.HashData(Encoding.UTF8.GetBytes($"{http.Request.Method} {http.Request.Path}\n{Json.Write(body)}")));
    }

    public static void Tell(HttpContext http, bool isReplay)
    {
        if (isReplay)
        {
            http.Response.Headers[ReplayedHeader] = "true";
        }
    }
}

/// <param name="IsReplay">The answer of an earlier request; nothing happened now.</param>
public readonly record struct Answered<T>(T Value, bool IsReplay);

/// <summary>
/// Does a keyed request once: its answer is stored in the transaction of its work and replayed for 24 hours. A second request
/// with the key while the first runs is refused (409), one that asks for something else too (422). A failure stores nothing.
/// </summary>
public sealed class Idempotency(UnitOfWork unit, Caller caller, TimeProvider clock)
{
    private static readonly TimeSpan Kept = TimeSpan.FromHours(24);
    private static readonly Error Running = new(ErrorKind.Conflict, "idempotency_in_progress", "A request with this Idempotency-Key is still being answered.");
    private static readonly Error Reused = new(ErrorKind.Invalid, "idempotency_key_reused", "This Idempotency-Key was used for another request.");

    /// <param name="work">Runs inside the running unit of work.</param>
    public async Task<Result<Answered<T>>> OnceAsync<T>(IdempotencyKey? key, Func<Task<Result<T>>> work, CancellationToken ct)
    {
        if (key is null)
        {
            var done = await work();
            return done.IsOk ? new Answered<T>(done.Value, false) : done.Error;
        }

        var now = clock.GetUtcNow();
        if (!await TryLockAsync(key, ct))
        {
            return Running;
        }

        if (await FindAsync(key, now, ct) is var (hash, stored))
        {
            return hash.AsSpan().SequenceEqual(key.RequestHash) ? new Answered<T>(Json.Read<T>(stored), true) : Reused;
        }

        var result = await work();
        if (!result.IsOk)
        {
            return result.Error;
        }

        await StoreAsync(key, Json.Write(result.Value), now, ct);
        return new Answered<T>(result.Value, false);
    }

    private async Task<bool> TryLockAsync(IdempotencyKey key, CancellationToken ct)
    {
        await using var tryLock = Command("SELECT pg_try_advisory_xact_lock(hashtextextended('idempotency:' || $1 || ':' || $2, 0))", caller.TenantId, key.Text);
        return await tryLock.ExecuteScalarAsync(ct) is true;
    }

    private async Task<(byte[] Hash, string Answer)?> FindAsync(IdempotencyKey key, DateTimeOffset now, CancellationToken ct)
    {
        await using var find = Command("SELECT request_hash, answer FROM platform.idempotency WHERE tenant_id = $1 AND key = $2 AND created_at > $3", caller.TenantId, key.Text, now - Kept);
        await using var row = await find.ExecuteReaderAsync(ct);
        return await row.ReadAsync(ct) ? (row.GetFieldValue<byte[]>(0), row.GetString(1)) : null;
    }

    private async Task StoreAsync(IdempotencyKey key, string answer, DateTimeOffset now, CancellationToken ct)
    {
        // Every new key clears some old ones away, so that nothing else has to.
        await using var store = Command(
            """
            WITH old AS (
              DELETE FROM platform.idempotency WHERE (tenant_id, key) IN
                (SELECT tenant_id, key FROM platform.idempotency WHERE created_at <= $6 AND (tenant_id, key) <> ($1, $2) LIMIT 5 FOR UPDATE SKIP LOCKED))
            INSERT INTO platform.idempotency (tenant_id, key, request_hash, answer, created_at) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (tenant_id, key) DO UPDATE SET request_hash = excluded.request_hash, answer = excluded.answer, created_at = excluded.created_at
            """,
            caller.TenantId, key.Text, key.RequestHash, answer, now, now - Kept);
        await store.ExecuteNonQueryAsync(ct);
    }

    private NpgsqlCommand Command(string sql, params object[] values)
    {
        var command = new NpgsqlCommand(sql, unit.Connection, unit.Transaction ?? throw new InvalidOperationException("Idempotency needs a unit of work."));
        foreach (var value in values)
        {
            command.Parameters.Add(new() { Value = value });
        }

        return command;
    }
}
