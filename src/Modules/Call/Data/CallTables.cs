using Dapper;

namespace VoicePlatform.Calls.Data;

/// <summary>The tables beside the call's own row: what waits, what was tried, what happened.</summary>
internal static class CallTables
{
    public static Task EnqueueAsync(this UnitOfWork unit, string callId, string trunkId, int priority, DateTimeOffset dueAt, DateTimeOffset now, CancellationToken ct) => ExecuteAsync(
        unit,
        "INSERT INTO call.queue (call_id, trunk_id, priority, due_at, is_due) VALUES (@callId, @trunkId, @priority, @dueAt, @dueAt <= @now)",
        new { callId, trunkId, priority, dueAt, now }, ct);

    /// <summary>False when it is not waiting any more.</summary>
    public static async Task<bool> DequeueAsync(this UnitOfWork unit, string callId, CancellationToken ct) =>
        await ExecuteAsync(unit, "DELETE FROM call.queue WHERE call_id = @callId", new { callId }, ct) > 0;

    /// <summary>The trunk's place in the dialler's round. Read before it is written: an upsert would hold the row, and the dialler passes held rows by.</summary>
    public static async Task KeepLaneAsync(
        this UnitOfWork unit, string trunkId, string tenantId, double? callsPerSecond, int? maxConcurrent, DateTimeOffset now, CancellationToken ct)
    {
        var lane = new { trunkId, tenantId, callsPerSecond, maxConcurrent, now };
        if (await unit.Connection.ExecuteScalarAsync<bool>(new(
            """
            SELECT EXISTS (SELECT FROM call.lanes WHERE trunk_id = @trunkId
              AND calls_per_second IS NOT DISTINCT FROM @callsPerSecond::double precision AND max_concurrent IS NOT DISTINCT FROM @maxConcurrent::int)
            """, lane, unit.Transaction, cancellationToken: ct)))
        {
            return;
        }

        await ExecuteAsync(
            unit,
            """
            INSERT INTO call.lanes (trunk_id, tenant_id, calls_per_second, max_concurrent, next_at, served_at)
            VALUES (@trunkId, @tenantId, @callsPerSecond, @maxConcurrent, @now, '-infinity')
            ON CONFLICT (trunk_id) DO UPDATE SET calls_per_second = excluded.calls_per_second, max_concurrent = excluded.max_concurrent
            """, lane, ct);
    }

    public static Task NoteAsync(this UnitOfWork unit, string callId, DateTimeOffset at, string kind, string detail, CancellationToken ct) => ExecuteAsync(
        unit, "INSERT INTO call.events (call_id, at, kind, detail) VALUES (@callId, @at, @kind, @detail)", new { callId, at, kind, detail }, ct);

    public static Task LinkAttemptAsync(this UnitOfWork unit, string callId, int attempt, string sessionId, string roomName, CancellationToken ct) => ExecuteAsync(
        unit,
        "UPDATE call.attempts SET session_id = @sessionId, room_name = @roomName WHERE call_id = @callId AND number = @attempt",
        new { callId, attempt, sessionId, roomName }, ct);

    /// <summary>Writes that the number may ring from now on. False when the attempt or the call is over: then nothing may be sent.</summary>
    public static async Task<bool> MarkSentAsync(this UnitOfWork unit, string callId, int attempt, DateTimeOffset now, CancellationToken ct) => await ExecuteAsync(
        unit,
        """
        WITH open AS (
          UPDATE call.calls SET dialed = dialed + 1
          WHERE id = @callId AND status = 'dialing' AND attempts = @attempt AND cancel_requested_at IS NULL RETURNING id)
        UPDATE call.attempts a SET sent_at = @now FROM open WHERE a.call_id = open.id AND a.number = @attempt AND a.status = 'dialing' AND a.sent_at IS NULL
        """,
        new { callId, attempt, now }, ct) > 0;

    /// <summary>Writes what came of an attempt, once. False when that was written before.</summary>
    public static async Task<bool> EndAttemptAsync(this UnitOfWork unit, string callId, int attempt, string status, Outcome? outcome, DateTimeOffset now, CancellationToken ct) =>
        await ExecuteAsync(
            unit,
            """
            UPDATE call.attempts SET status = @status, ended_at = @now, cause = @Cause, fault = @fault, sip_status_code = @SipStatusCode, sip_reason = @SipReason
            WHERE call_id = @callId AND number = @attempt AND status = 'dialing'
            """,
            new
            {
                callId, attempt, status, now, outcome?.Cause, fault = outcome?.Fault is { } f ? CallDb.Text(f) : null, outcome?.SipStatusCode, outcome?.SipReason,
            }, ct) > 0;

    private static async Task<int> ExecuteAsync(UnitOfWork unit, string sql, object values, CancellationToken ct) =>
        await (await unit.OpenAsync(ct)).ExecuteAsync(new(sql, values, unit.Transaction, cancellationToken: ct));
}
