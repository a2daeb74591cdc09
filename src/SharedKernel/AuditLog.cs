using Npgsql;

namespace VoicePlatform.SharedKernel;

/// <summary>
/// Who changed what: configuration and money. A line is written in the transaction of its change and never altered; the host's role may only
/// add and read. GET /v1/audit shows a tenant its own.
/// </summary>
public sealed class AuditLog(UnitOfWork unit, Caller caller, TimeProvider clock)
{
    /// <param name="action">What was done, as "assistant.updated": public API, never renamed.</param>
    /// <param name="detail">What helps to understand it later, as it is serialised; never a secret.</param>
    /// <param name="tenantId">Whose it is; the caller's when left out.</param>
    public async Task NoteAsync(string action, string subjectId, object? detail, CancellationToken ct, string? tenantId = null)
    {
        var now = clock.GetUtcNow();
        await using var note = new NpgsqlCommand(
            """
            INSERT INTO platform.audit (id, tenant_id, at, actor, user_id, key_id, address, action, subject_id, detail)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::jsonb)
            """,
            unit.Connection,
            unit.Transaction ?? throw new InvalidOperationException("An audit line belongs to the transaction of its change."));
        note.Parameters.Add(new() { Value = Ids.New(Ids.Audit, now) });
        note.Parameters.Add(new() { Value = tenantId ?? caller.TenantId });
        note.Parameters.Add(new() { Value = now });
        note.Parameters.Add(new() { Value = caller.KeyId is not null ? "key" : caller.IsPlatform ? "platform" : "system" });
        note.Parameters.Add(Text(caller.UserId));
        note.Parameters.Add(Text(caller.KeyId));
        note.Parameters.Add(Text(caller.Address));
        note.Parameters.Add(new() { Value = action });
        note.Parameters.Add(new() { Value = subjectId });
        note.Parameters.Add(Text(detail is null ? null : Json.Write(detail)));
        await note.ExecuteNonQueryAsync(ct);

        static NpgsqlParameter Text(string? value) => new() { Value = (object?)value ?? DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Text };
    }
}
