using Dapper;
using Npgsql;
using VoicePlatform.Contracts.Agent;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Analysis;

/// <summary>
/// Has conversations analysed that are over. A model that is not there now is asked again, for about half an hour. What dies in between is made again
/// when its lease is over: the model may then have been asked twice, but what that used is charged once.
/// </summary>
internal sealed class Analyst(
    NpgsqlDataSource source, IServiceScopeFactory scopes, [FromKeyedServices(typeof(Analyst))] WakeUp wakeUp, TimeProvider clock, ILogger<Analyst> log)
    : ClaimLoop<Analyst.Due>(AtOnce, PollInterval, wakeUp, clock, log)
{
    private const int AtOnce = 8;

    // One tenant's thousand conversations do not make another's wait for all of them.
    private const int AtOncePerTenant = 4;
    private const int MaxAttempts = 9;
    private static readonly TimeSpan FirstWait = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan PollInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan Lease = AnswerTimeout + TimeSpan.FromMinutes(1);

    protected override async Task<Due?> ClaimAsync(CancellationToken ct)
    {
        // Checkpoint: a crash after this has it claimed again when the lease is over.
        var now = Clock.GetUtcNow();
        await using var connection = await source.OpenConnectionAsync(ct);
        return await connection.QuerySingleOrDefaultAsync<Due>(new(
            """
            UPDATE session.analyses a SET attempts = attempts + 1, leased_until = @now + @Lease, next_attempt_at = @now + @Lease
            FROM session.sessions s
            WHERE s.id = a.session_id AND a.session_id = (
              SELECT d.session_id FROM session.analyses d
              WHERE d.status = 'pending' AND d.next_attempt_at <= @now
                AND (SELECT count(*) FROM session.analyses r WHERE r.tenant_id = d.tenant_id AND r.status = 'pending' AND r.leased_until > @now) < @AtOncePerTenant
              ORDER BY d.next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED)
            RETURNING a.session_id, a.tenant_id, a.run, a.attempts, a.settings::text AS settings_json, s.assistant_id, s.started_at, s.is_test
            """,
            new { now, Lease, AtOncePerTenant }, cancellationToken: ct));
    }

    protected override async Task WorkAsync(Due claimed, CancellationToken ct)
    {
        await using var scope = scopes.CreateAsyncScope();
        var mediator = scope.ServiceProvider.GetRequiredService<IMediator>();
        var found = await AnalyzeAsync(claimed, scope.ServiceProvider.GetRequiredService<UnitOfWork>(), mediator, ct);
        if (found.Error is { Kind: ErrorKind.Unavailable } away && claimed.Attempts < MaxAttempts)
        {
            SessionLog.AnalysisPutOff(Log, claimed.SessionId, claimed.Attempts, away.Message);
            await using var putOff = source.CreateCommand("UPDATE session.analyses SET leased_until = NULL, next_attempt_at = $3 WHERE session_id = $1 AND run = $2 AND status = 'pending'");
            putOff.Parameters.Add(new() { Value = claimed.SessionId });
            putOff.Parameters.Add(new() { Value = claimed.Run });
            putOff.Parameters.Add(new() { Value = Clock.GetUtcNow() + (FirstWait * Math.Pow(2, claimed.Attempts - 1)) });
            await putOff.ExecuteNonQueryAsync(ct);
            return;
        }

        var findings = found.IsOk ? found.Value : new Findings("", null, null, null, new Dictionary<string, System.Text.Json.JsonElement>(), found.Error.Message, []);
        var kept = await mediator.Send(new KeepAnalysis(claimed.SessionId, claimed.Run, findings), ct);
        if (!kept.IsOk)
        {
            throw new InvalidOperationException($"The analysis of session {claimed.SessionId} could not be kept: {kept.Error.Code}.");
        }
    }

    private async Task<Result<Findings>> AnalyzeAsync(Due due, UnitOfWork unit, IMediator mediator, CancellationToken ct)
    {
        var lines = await unit.LinesAsync(due.SessionId, ct);
        if (!due.IsTest)
        {
            var hold = await mediator.Send(Analyses.Hold(due.TenantId, due.SessionId, due.AssistantId, due.Run, lines), ct);
            if (!hold.IsOk)
            {
                return hold.Error;
            }
        }

        await unit.ReleaseAsync();
        using var timeout = new CancellationTokenSource(AnswerTimeout, Clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, timeout.Token);
        try
        {
            return await mediator.Send(
                new AnalyzeConversation(
                    due.TenantId, Json.Read<AnalysisSettings>(due.SettingsJson),
                    lines.ConvertAll(l => new TextLine(l.Speaker == "agent" ? Speaker.Agent : Speaker.User, l.Text)), due.StartedAt),
                either.Token);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return new Error(ErrorKind.Unavailable, "agent.timeout", "The model did not answer in time.");
        }
    }

    internal sealed record Due
    {
        public required string SessionId { get; init; }
        public required string TenantId { get; init; }
        public required string AssistantId { get; init; }
        public int Run { get; init; }
        public int Attempts { get; init; }
        public required string SettingsJson { get; init; }
        public DateTimeOffset StartedAt { get; init; }
        public bool IsTest { get; init; }
    }
}
