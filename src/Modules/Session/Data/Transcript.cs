using Dapper;
using Npgsql;
using NpgsqlTypes;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Sessions.Data;

/// <summary>One line as stored.</summary>
internal sealed record StoredLine
{
    public int Seq { get; init; }
    public int Turn { get; init; }
    public required string Speaker { get; init; }
    public required string Text { get; init; }
    public DateTimeOffset StartedAt { get; init; }
    public DateTimeOffset EndedAt { get; init; }
    public bool Interrupted { get; init; }

    public SpokenLine ToSpoken() => new(Seq, Turn, Speaker == "agent" ? Contracts.Sessions.Speaker.Agent : Contracts.Sessions.Speaker.User, Text, StartedAt, EndedAt, Interrupted);
}

internal sealed record StoredUsage
{
    public required string Component { get; init; }
    public required string Provider { get; init; }
    public required string Model { get; init; }
    public required string Unit { get; init; }
    public long Quantity { get; init; }
    public long? Reported { get; init; }
    public long Measured { get; init; }
    public bool OwnKey { get; init; }

    public UsageTotal ToTotal() => new(Component, Provider, Model, Unit, Quantity) { Reported = Reported, Measured = Measured, OwnKey = OwnKey };
}

/// <summary>What is appended to a session while it runs. Telling a thing twice changes nothing.</summary>
internal static class Transcript
{
    public static async Task AppendAsync(
        this UnitOfWork unit, string sessionId, IReadOnlyList<SpokenLine> lines, IReadOnlyList<TurnTiming> turns,
        IReadOnlyList<UsageTotal> usage, IReadOnlyList<SessionNote> notes, CancellationToken ct)
    {
        await using var batch = new NpgsqlBatch(await unit.OpenAsync(ct), unit.Transaction);
        foreach (var l in lines)
        {
            // An agent's line is told again when it turns out that less of it was heard.
            Add(
                batch,
                """
                INSERT INTO session.lines (session_id, seq, turn, speaker, text, started_at, ended_at, interrupted) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                ON CONFLICT (session_id, seq) DO UPDATE SET text = excluded.text, ended_at = excluded.ended_at, interrupted = excluded.interrupted
                """,
                sessionId, l.Seq, l.Turn, l.Speaker is Speaker.Agent ? "agent" : "user", l.Text, l.StartedAt, l.EndedAt, l.Interrupted);
        }

        foreach (var t in turns)
        {
            Add(
                batch,
                """
                INSERT INTO session.turns (session_id, turn, endpointing_ms, transcription_ms, first_token_ms, first_audio_ms, response_ms, interrupted)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                ON CONFLICT (session_id, turn) DO UPDATE SET endpointing_ms = excluded.endpointing_ms, transcription_ms = excluded.transcription_ms,
                  first_token_ms = excluded.first_token_ms, first_audio_ms = excluded.first_audio_ms, response_ms = excluded.response_ms, interrupted = excluded.interrupted
                """,
                sessionId, t.Turn, t.EndpointingMs, t.TranscriptionMs, t.FirstTokenMs, t.FirstAudioMs, t.ResponseMs, t.Interrupted);
        }

        foreach (var u in usage)
        {
            Add(
                batch,
                """
                INSERT INTO session.usage AS u (session_id, turn, discarded, component, provider, model, own_key, unit, quantity, reported, measured)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
                ON CONFLICT (session_id, turn, discarded, component, provider, model, own_key) DO UPDATE SET
                  quantity = greatest(u.quantity, excluded.quantity), reported = greatest(u.reported, excluded.reported), measured = greatest(u.measured, excluded.measured)
                """,
                sessionId, u.Turn, u.Discarded, u.Component, u.Provider, u.Model, u.OwnKey, u.Unit, u.Quantity, u.Reported, u.Measured);
        }

        foreach (var n in notes)
        {
            // Told again when nobody heard that it was kept: then it is there.
            Add(
                batch,
                """
                INSERT INTO session.events (session_id, seq, at, kind, detail)
                SELECT $1, coalesce(max(seq), 0) + 1, $2, $3, $4 FROM session.events WHERE session_id = $1
                HAVING bool_or(at = $2 AND kind = $3 AND detail = $4) IS NOT TRUE
                """,
                sessionId, n.At, n.Kind, n.Detail);
        }

        if (batch.BatchCommands.Count > 0)
        {
            await batch.ExecuteNonQueryAsync(ct);
        }
    }

    public static async Task<List<StoredLine>> LinesAsync(this UnitOfWork unit, string sessionId, CancellationToken ct) =>
        (await (await unit.OpenAsync(ct)).QueryAsync<StoredLine>(new(
            "SELECT seq, turn, speaker, text, started_at, ended_at, interrupted FROM session.lines WHERE session_id = @sessionId ORDER BY seq",
            new { sessionId }, unit.Transaction, cancellationToken: ct))).ToList();

    /// <summary>What counts: without what was discarded, over all turns.</summary>
    public static Task<List<StoredUsage>> UsageAsync(this UnitOfWork unit, string sessionId, CancellationToken ct) => unit.UsageAsync(sessionId, discarded: false, ct);

    /// <summary>What was generated ahead and thrown away: not charged, and yet paid to the provider.</summary>
    public static Task<List<StoredUsage>> DiscardedAsync(this UnitOfWork unit, string sessionId, CancellationToken ct) => unit.UsageAsync(sessionId, discarded: true, ct);

    private static async Task<List<StoredUsage>> UsageAsync(this UnitOfWork unit, string sessionId, bool discarded, CancellationToken ct) =>
        (await (await unit.OpenAsync(ct)).QueryAsync<StoredUsage>(new(
            """
            SELECT component, provider, model, own_key, unit, sum(quantity)::bigint AS quantity, sum(reported)::bigint AS reported, sum(measured)::bigint AS measured
            FROM session.usage WHERE session_id = @sessionId AND discarded = @discarded
            GROUP BY component, provider, model, own_key, unit ORDER BY component, provider, model, own_key
            """,
            new { sessionId, discarded }, unit.Transaction, cancellationToken: ct))).ToList();

    private static void Add(NpgsqlBatch batch, string sql, params object?[] values)
    {
        var command = new NpgsqlBatchCommand(sql);
        foreach (var value in values)
        {
            command.Parameters.Add(value is null ? new() { Value = DBNull.Value, NpgsqlDbType = NpgsqlDbType.Integer } : new NpgsqlParameter { Value = value });
        }

        batch.BatchCommands.Add(command);
    }
}
