using System.Text.Json;
using System.Text.Json.Nodes;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Analysis;

internal sealed class AskForAnalysisHandler(SessionDb db, UnitOfWork unit, IMediator mediator, [FromKeyedServices(typeof(Analyst))] WakeUp analyst, TimeProvider clock)
    : IRequestHandler<AskForAnalysis, Result<ConversationAnalysis>>
{
    public async Task<Result<ConversationAnalysis>> Handle(AskForAnalysis request, CancellationToken cancellationToken)
    {
        // Nobody removes what was said meanwhile.
        var session = await db.Sessions
            .FromSql($"SELECT * FROM session.sessions WHERE id = {request.SessionId} AND tenant_id = {request.TenantId} FOR UPDATE")
            .AsNoTracking().SingleOrDefaultAsync(cancellationToken);
        if (session is not { Status: SessionStatus.Ended })
        {
            return session is null ? SessionErrors.NotFound : SessionErrors.NotEnded;
        }

        var lines = await unit.LinesAsync(session.Id, cancellationToken);
        if (lines.TrueForAll(l => l.Speaker == "agent"))
        {
            return SessionErrors.NothingSaid;
        }

        Result<string> settings = request.Changes is null && session.Analysis is { } pinned ? pinned : await SettingsAsync(session, request.Changes, cancellationToken);
        if (!settings.IsOk)
        {
            return settings.Error;
        }

        if (await unit.QueueAsync(session.Id, session.TenantId, settings.Value, clock.GetUtcNow(), cancellationToken) is not { } run)
        {
            return SessionErrors.AnalysisPending;
        }

        if (!session.IsTest)
        {
            var hold = await mediator.Send(Analyses.Hold(session.TenantId, session.Id, session.AssistantId, run, lines), cancellationToken);
            if (!hold.IsOk)
            {
                return hold.Error;
            }
        }

        unit.AfterCommit(analyst.Wake);
        return (await unit.AnalysisAsync(session.Id, cancellationToken))!;
    }

    /// <summary>The assistant's, as the conversation had it, with what is to be different; a summary alone where neither says anything.</summary>
    private async Task<Result<string>> SettingsAsync(Session session, AnalysisChanges? changes, CancellationToken ct)
    {
        var overrides = JsonNode.Parse(session.Overrides ?? "{}")!.AsObject();
        if (overrides["analysis"] is not JsonObject analysis)
        {
            overrides["analysis"] = analysis = [];
        }

        foreach (var (name, value) in JsonSerializer.SerializeToNode(changes, Json.Options) as JsonObject ?? [])
        {
            if (value is not null)
            {
                analysis[name] = value.DeepClone();
            }
        }

        var assistant = await mediator.Send(
            new FindAssistant(session.TenantId, session.AssistantId, session.AssistantVersion, overrides.ToJsonString(Json.Options), session.IsTest), ct);
        const string prefix = "assistant_overrides.analysis.";
        return assistant.IsOk
            ? Session.AnalysisOf(assistant.Value.Document)!
            : assistant.Error with { Fields = assistant.Error.Fields.Select(f => f.Field.StartsWith(prefix, StringComparison.Ordinal) ? f with { Field = f.Field[prefix.Length..] } : f).ToList() };
    }
}

internal sealed class ReadAnalysisHandler(UnitOfWork unit) : IRequestHandler<ReadAnalysis, Result<ConversationAnalysis>>
{
    public async Task<Result<ConversationAnalysis>> Handle(ReadAnalysis request, CancellationToken cancellationToken) =>
        await unit.AnalysisAsync(request.SessionId, cancellationToken) is { } analysis ? analysis : SessionErrors.NoAnalysis;
}
