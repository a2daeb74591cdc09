using VoicePlatform.Calls.Data;
using VoicePlatform.Calls.Recording;
using VoicePlatform.Contracts.Calls;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Contracts.Tenants;
using VoicePlatform.SharedKernel.Outbox;

namespace VoicePlatform.Calls.Reactions;

internal sealed class OnPhoneSessionRinging(CallDb db, UnitOfWork unit) : INotificationHandler<PhoneSessionRinging>
{
    public async Task Handle(PhoneSessionRinging notification, CancellationToken cancellationToken)
    {
        var call = await db.LockedAsync(notification.CallId, cancellationToken);
        if (call is { Status: CallStatus.Dialing } && call.SessionId == notification.SessionId)
        {
            call.Rang(notification.At);
            await db.SaveChangesAsync(cancellationToken);
            await unit.NoteAsync(call.Id, notification.At, "call.ringing", "", cancellationToken);
        }
    }
}

/// <summary>Answered, in the transaction that starts the conversation: state, event, and the recorder is due.</summary>
internal sealed class OnPhoneSessionStarted(CallDb db, UnitOfWork unit, IMediator mediator, OutboxWriter outbox, Recordings recordings) : INotificationHandler<PhoneSessionStarted>
{
    public async Task Handle(PhoneSessionStarted notification, CancellationToken cancellationToken)
    {
        var call = await db.LockedAsync(notification.CallId, cancellationToken);
        if (call is null || call.SessionId != notification.SessionId || !call.Answer(notification.At))
        {
            return;
        }

        if (call.Record)
        {
            recordings.Plan(call);
            await outbox.PublishAsync(new RecordingDue(call.Id, call.RoomName!), cancellationToken);
        }

        await db.SaveChangesAsync(cancellationToken);
        await unit.EndAttemptAsync(call.Id, call.Attempts, "answered", null, notification.At, cancellationToken);
        await unit.NoteAsync(call.Id, notification.At, "call.answered", "", cancellationToken);
        await mediator.Send(
            new Announce(call.TenantId, "call.answered", call.Id, Json.Write(CallView.Of(call, recordings.LinkOf(call))), call.IsTest), cancellationToken);
    }
}

/// <summary>The conversation is over and charged: so is its call, in the same transaction. One that was never answered is the dialler's to judge.</summary>
internal sealed class OnPhoneSessionEnded(CallDb db, UnitOfWork unit, CallEnding ending) : INotificationHandler<PhoneSessionEnded>
{
    public async Task Handle(PhoneSessionEnded notification, CancellationToken cancellationToken)
    {
        var call = await db.LockedAsync(notification.CallId, cancellationToken);
        if (call is null || call.SessionId != notification.SessionId || (notification.StartedAt is null && call.Direction is CallDirection.Outbound))
        {
            return;
        }

        if (notification.StartedAt is not null && call.Direction is CallDirection.Outbound)
        {
            await unit.EndAttemptAsync(call.Id, call.Attempts, "answered", null, notification.EndedAt, cancellationToken);
        }

        var outcome = notification switch
        {
            { StartedAt: null, Reason: EndReasons.CallerLeft or EndReasons.Requested } => Outcome.Canceled with { Cause = notification.Reason },
            { StartedAt: null } => new Outcome(CallStatus.Failed, "agent_absent", Fault.Platform),
            { Reason: EndReasons.Voicemail } => new(CallStatus.Voicemail, "voicemail"),
            { Reason: EndReasons.AgentFailed or EndReasons.AgentLost or EndReasons.Shutdown } => new(CallStatus.Completed, notification.Reason, Fault.Platform),
            { Reason: EndReasons.LineLost } => new(CallStatus.Completed, notification.Reason, Fault.Carrier),
            { Reason: EndReasons.OutOfCredits } => new(CallStatus.Completed, notification.Reason, Fault.Tenant),
            _ => new(CallStatus.Completed, notification.Reason),
        };
        var ended = await ending.EndAsync(call, outcome, notification.Reason, notification.StartedAt is null ? null : notification, cancellationToken);
        if (!ended.IsOk)
        {
            throw new InvalidOperationException($"Call {call.Id} could not be ended: {ended.Error.Code}.");
        }
    }
}

/// <summary>What the call cost is what it cost in all, also when some of it became known later.</summary>
internal sealed class OnPhoneSessionAdjusted(CallDb db, UnitOfWork unit, IMediator mediator, TimeProvider clock) : INotificationHandler<PhoneSessionAdjusted>
{
    public async Task Handle(PhoneSessionAdjusted notification, CancellationToken cancellationToken)
    {
        var call = await db.LockedAsync(notification.CallId, cancellationToken);
        if (call is not { IsOver: true } || call.SessionId != notification.SessionId)
        {
            throw new InvalidOperationException($"Call {notification.CallId} is not over, and its conversation was charged again.");
        }

        var charge = notification.Charge;
        call.Adjust(charge);
        await db.SaveChangesAsync(cancellationToken);
        await unit.NoteAsync(call.Id, clock.GetUtcNow(), "call.adjusted", $"{charge.Cost} micro-credits for use that became known after the end.", cancellationToken);
        await mediator.Send(
            new Announce(call.TenantId, "call.adjusted", call.Id, Json.Write(new
            {
                call_id = call.Id,
                adjustment = new { amount = charge.Cost, unit = Credits.Unit, charge.TransactionId, charge.Lines },
                cost = new { amount = call.Cost, unit = Credits.Unit },
            }), call.IsTest), cancellationToken);
    }
}

/// <summary>What was found out about the call's conversation.</summary>
internal sealed class OnPhoneSessionAnalyzed(CallDb db, UnitOfWork unit, IMediator mediator, TimeProvider clock) : INotificationHandler<PhoneSessionAnalyzed>
{
    public async Task Handle(PhoneSessionAnalyzed notification, CancellationToken cancellationToken)
    {
        var call = await db.Calls.AsNoTracking().SingleAsync(c => c.Id == notification.CallId, cancellationToken);
        var analysis = notification.Analysis;
        var type = analysis.Status is AnalysisStatus.Ready ? "analysis.ready" : "analysis.failed";
        await unit.NoteAsync(call.Id, clock.GetUtcNow(), type, analysis.Error ?? "", cancellationToken);
        var data = new
        {
            session_id = notification.SessionId,
            call_id = call.Id,
            call.AssistantId,
            call.AssistantVersion,
            metadata = Json.Read<System.Text.Json.JsonElement>(call.Metadata),
            analysis,
        };
        await mediator.Send(
            new Announce(call.TenantId, type, call.Id, Json.Write(data), call.IsTest, call.WebhookUrl is { } url ? [new AlsoTo(url)] : null), cancellationToken);
    }
}
