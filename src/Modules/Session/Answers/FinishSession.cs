using System.Text.Json;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Contracts.Tenants;
using VoicePlatform.Sessions.Analysis;
using VoicePlatform.Sessions.Data;
using VoicePlatform.SharedKernel.Outbox;

namespace VoicePlatform.Sessions.Answers;

internal sealed class FinishSessionHandler(
    SessionDb db, UnitOfWork unit, IMediator mediator, OutboxWriter outbox, [FromKeyedServices(typeof(Analyst))] WakeUp analyst, TimeProvider clock,
    ILogger<FinishSessionHandler> log)
    : IRequestHandler<FinishSession, Result<Done>>
{
    public async Task<Result<Done>> Handle(FinishSession request, CancellationToken cancellationToken)
    {
        // Whoever comes first holds the row; the next one waits here and then finds the session ended.
        var session = await db.Sessions
            .FromSql($"SELECT * FROM session.sessions WHERE id = {request.SessionId} FOR UPDATE")
            .SingleOrDefaultAsync(cancellationToken);
        if (session is null)
        {
            return SessionErrors.NotFound;
        }

        if (session.Status is SessionStatus.Ended)
        {
            return default(Done);
        }

        var endedAt = session.EndsAt(request.Reason, request.EndedAt, clock.GetUtcNow());
        var elapsed = session.StartedAt is { } startedAt ? endedAt - startedAt : TimeSpan.Zero;
        var usage = await unit.UsageAsync(session.Id, cancellationToken);
        var lines = await unit.LinesAsync(session.Id, cancellationToken);

        // A telephone call that nobody answered keeps its hold: whether it is tried again is the call's to decide.
        var charge = session is { CallId: not null, StartedAt: null }
            ? new Charge(null, 0, [])
            : await mediator.Send(
                new SettleHold(
                    session.TenantId, session.HoldSubject,
                    session.StartedAt is null ? [] : Pricing.Used(session.Channel, usage, elapsed, await unit.DiscardedAsync(session.Id, cancellationToken))),
                cancellationToken);
        if (!charge.IsOk)
        {
            return charge.Error;
        }

        session.End(request.Reason, charge.Value.Cost, endedAt);
        await db.SaveChangesAsync(cancellationToken);
        if (session.CallId is { } callId)
        {
            await mediator.Publish(
                (INotification)new PhoneSessionEnded(
                    session.Id, callId, request.Reason, session.StartedAt, endedAt, charge.Value, lines.ConvertAll(l => l.ToSpoken()), usage.ConvertAll(u => u.ToTotal())),
                cancellationToken);
        }
        else
        {
            await mediator.Send(
                new Announce(session.TenantId, "session.completed", session.Id, Payload(session, lines, usage, charge.Value, elapsed), session.IsTest), cancellationToken);
        }

        if (session is { Analysis: { } settings, StartedAt: not null } && lines.Exists(l => l.Speaker == "user"))
        {
            await unit.QueueAsync(session.Id, session.TenantId, settings, clock.GetUtcNow(), cancellationToken);
            unit.AfterCommit(analyst.Wake);
        }

        await outbox.PublishAsync(new SessionEnded(session.Id, session.TenantId, session.RoomName, request.Reason), cancellationToken);
        unit.AfterCommit(() => SessionMetrics.Ended(session.TextOnly ? "text" : session.CallId is null ? "voice" : "phone", request.Reason));
        SessionLog.Ended(log, session.Id, request.Reason, elapsed.TotalSeconds);
        return default(Done);
    }

    private static string Payload(Session session, List<StoredLine> lines, List<StoredUsage> usage, Charge charge, TimeSpan elapsed) => Json.Write(new
    {
        session_id = session.Id,
        session.AssistantId,
        session.AssistantVersion,
        channel = session.TextOnly ? "text" : "voice",
        room_name = session.TextOnly ? null : session.RoomName,
        session.ParticipantIdentity,
        session.CreatedAt,
        session.StartedAt,
        session.EndedAt,
        duration_s = Math.Round(elapsed.TotalSeconds, 3),
        session.EndedReason,
        metadata = Json.Read<JsonElement>(session.Metadata),
        transcript = lines.Select(l => new { l.Speaker, l.Text, l.StartedAt, l.EndedAt, l.Interrupted, l.Turn }),
        usage = usage.Select(u => new { u.Component, u.Provider, u.Model, u.Unit, u.Quantity, u.Reported, u.Measured, u.OwnKey }),
        cost = new
        {
            amount = charge.Cost,
            unit = Credits.Unit,
            charge.TransactionId,
            lines = charge.Lines,
        },
    });
}
