using System.Text.Json;
using Dapper;
using VoicePlatform.Contracts.Agent;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Contracts.Tenants;
using VoicePlatform.Sessions.Answers;

namespace VoicePlatform.Sessions.Analysis;

/// <summary>Writes down what was found out, charges what that used, and tells the tenant: once for a run, however often it is sent.</summary>
internal sealed record KeepAnalysis(string SessionId, int Run, Findings Findings) : ICommand<Done>;

internal sealed class KeepAnalysisHandler(UnitOfWork unit, IMediator mediator, TimeProvider clock) : IRequestHandler<KeepAnalysis, Result<Done>>
{
    public async Task<Result<Done>> Handle(KeepAnalysis request, CancellationToken cancellationToken)
    {
        var found = request.Findings;

        // The session's row before the ledger's, as everybody who holds both.
        var session = await unit.Connection.QuerySingleOrDefaultAsync<SessionRow>(new(
            """
            WITH kept AS (
              UPDATE session.analyses SET
                status = CASE WHEN @Failure IS NULL THEN 'ready' ELSE 'failed' END, ended_at = @now, leased_until = NULL, model = nullif(@Model, ''),
                summary = @Summary, success = @Success, success_reason = @SuccessReason, fields = @fields::jsonb, error = @Failure
              WHERE session_id = @SessionId AND run = @Run AND status = 'pending' RETURNING session_id)
            SELECT s.id, s.tenant_id, s.assistant_id, s.assistant_version, s.call_id, s.is_test, s.metadata::text FROM session.sessions s JOIN kept ON kept.session_id = s.id
            FOR UPDATE OF s
            """,
            new
            {
                request.SessionId, request.Run, now = clock.GetUtcNow(), found.Failure, found.Model, found.Summary, found.Success, found.SuccessReason, fields = Json.Write(found.Fields),
            },
            unit.Transaction, cancellationToken: cancellationToken));
        if (session is null)
        {
            return default(Done);
        }

        // What was held for it is free again, and in the same moment what it used is charged, as all late use of the conversation is.
        if (!session.IsTest)
        {
            var released = await mediator.Send(new SettleHold(session.TenantId, Analyses.HoldSubject(session.Id, request.Run), []), cancellationToken);
            if (!released.IsOk)
            {
                return released.Error;
            }
        }

        var usage = found.Usage.Select(u => u with { Turn = -request.Run }).ToList();
        var charged = await mediator.Send(new ReportProgressHandler.Keep(new ReportProgress(request.SessionId, [], [], usage, [], CallerPresent: false)), cancellationToken);
        if (!charged.IsOk)
        {
            return charged.Error;
        }

        var analysis = (await unit.AnalysisAsync(request.SessionId, cancellationToken))!;
        if (session.CallId is { } callId)
        {
            await mediator.Publish((INotification)new PhoneSessionAnalyzed(session.Id, callId, analysis), cancellationToken);
            return default(Done);
        }

        return await mediator.Send(
            new Announce(session.TenantId, analysis.Status is AnalysisStatus.Ready ? "analysis.ready" : "analysis.failed", session.Id, Json.Write(new
            {
                session_id = session.Id,
                session.AssistantId,
                session.AssistantVersion,
                metadata = Json.Read<JsonElement>(session.Metadata),
                analysis,
            }), session.IsTest),
            cancellationToken);
    }

    private sealed record SessionRow
    {
        public required string Id { get; init; }
        public required string TenantId { get; init; }
        public required string AssistantId { get; init; }
        public int AssistantVersion { get; init; }
        public string? CallId { get; init; }
        public bool IsTest { get; init; }
        public required string Metadata { get; init; }
    }
}
