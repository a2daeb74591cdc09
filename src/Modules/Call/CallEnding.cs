using VoicePlatform.Calls.Data;
using VoicePlatform.Calls.Dialling;
using VoicePlatform.Calls.Recording;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.Contracts.Calls;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Contracts.Tenants;
using VoicePlatform.SharedKernel.Outbox;

namespace VoicePlatform.Calls;

/// <summary>
/// The end of a call, whoever finds it: state, hold, its one terminal event and the room, in the running transaction. The caller holds
/// the call's row, so it happens once.
/// </summary>
internal sealed class CallEnding(
    CallDb db, UnitOfWork unit, IMediator mediator, OutboxWriter outbox, Recordings recordings, [FromKeyedServices(typeof(Dialler))] WakeUp dialler,
    TimeProvider clock, ILogger<CallEnding> log)
{
    /// <summary>Nobody was reached: the hold goes back.</summary>
    public Task<Result<Done>> UnansweredAsync(Call call, Outcome outcome, string reason, CancellationToken ct) => EndAsync(call, outcome, reason, null, ct);

    /// <param name="session">The conversation that is over and charged; null when there was none.</param>
    public async Task<Result<Done>> EndAsync(Call call, Outcome outcome, string reason, PhoneSessionEnded? session, CancellationToken ct)
    {
        if (call.IsOver)
        {
            return default(Done);
        }

        var charge = session?.Charge;
        if (charge is null)
        {
            var released = await mediator.Send(new SettleHold(call.TenantId, call.Id, []), ct);
            if (!released.IsOk)
            {
                return released.Error;
            }

            charge = released.Value;
        }

        var now = clock.GetUtcNow();
        call.End(outcome, reason, charge, session?.StartedAt, session?.EndedAt ?? now);
        await db.SaveChangesAsync(ct);
        await unit.NoteAsync(call.Id, now, "call.ended", $"{CallDb.Text(call.Status)}: {outcome.Cause}", ct);
        await AnnounceAsync(call, session, ct);
        if (call is { RecordingEgressId: { } egressId, RecordingStatus: RecordingStatus.Active })
        {
            await outbox.PublishAsync(new RecordingOver(call.Id, egressId), ct);
        }

        unit.AfterCommit(dialler.Wake);
        unit.AfterCommit(() => CallMetrics.Ended(call));
        CallLog.Ended(log, call.Id, CallDb.Text(call.Status), outcome.Cause, call.DurationS ?? 0);
        return default(Done);
    }

    private async Task AnnounceAsync(Call call, PhoneSessionEnded? session, CancellationToken ct)
    {
        var transcript = session?.Transcript ?? [];
        var url = recordings.LinkOf(call);
        var data = System.Text.Json.JsonSerializer.SerializeToNode(CallView.Of(call, url), Json.Options)!.AsObject();
        data["transcript"] = System.Text.Json.JsonSerializer.SerializeToNode(transcript.Select(TranscriptLine.Of), Json.Options);
        data["usage"] = System.Text.Json.JsonSerializer.SerializeToNode(
            (session?.Usage ?? []).Select(u => new { u.Component, u.Provider, u.Model, u.Unit, u.Quantity, u.Reported, u.Measured, u.OwnKey }), Json.Options);
        var also = new List<AlsoTo>();
        if (call.WebhookUrl is { } webhook)
        {
            also.Add(new(webhook));
        }

        if (call is { EndCallUrl: { } endCallUrl, AnsweredAt: not null })
        {
            also.Add(new(endCallUrl, EndCallPayload003.Of(call, transcript, url)));
        }

        await mediator.Send(new Announce(call.TenantId, "call.completed", call.Id, data.ToJsonString(Json.Options), call.IsTest, also), ct);
    }
}
