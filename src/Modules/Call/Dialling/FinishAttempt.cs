using VoicePlatform.Calls.Data;
using VoicePlatform.Contracts.Calls;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.SharedKernel.Outbox;

namespace VoicePlatform.Calls.Dialling;

/// <summary>The number may ring from now on. Refused when the call was canceled meanwhile.</summary>
internal sealed record MarkSent(string CallId, int Attempt) : ICommand<Done>;

/// <summary>What came of an attempt in which nobody answered: another one where the call asks for it, else the call's end. Again changes nothing.</summary>
internal sealed record FinishAttempt(string CallId, int Attempt, string? SessionId, Outcome Outcome) : ICommand<Done>;

/// <summary>An attempt in which nothing was sent: the call goes back to the queue, with its hold and its time to live.</summary>
internal sealed record PutOff(string CallId, int Attempt, string? SessionId, string Cause, TimeSpan For) : ICommand<Done>;

internal sealed class MarkSentHandler(UnitOfWork unit, TimeProvider clock) : IRequestHandler<MarkSent, Result<Done>>
{
    public async Task<Result<Done>> Handle(MarkSent request, CancellationToken cancellationToken) =>
        await unit.MarkSentAsync(request.CallId, request.Attempt, clock.GetUtcNow(), cancellationToken) ? default(Done) : CallErrors.NotInProgress;
}

internal sealed class FinishAttemptHandler(CallDb db, UnitOfWork unit, IMediator mediator, CallEnding ending, OutboxWriter outbox, TimeProvider clock)
    : IRequestHandler<FinishAttempt, Result<Done>>
{
    public async Task<Result<Done>> Handle(FinishAttempt request, CancellationToken cancellationToken)
    {
        // An answered attempt belongs to its session, whatever became of LiveKit's answer to us.
        var status = await db.Calls.AsNoTracking().Where(c => c.Id == request.CallId).Select(c => c.Status).SingleAsync(cancellationToken);
        if (status is CallStatus.InProgress)
        {
            return default(Done);
        }

        // The session before the call, as everywhere: its end closes the room.
        if (request.SessionId is { } sessionId)
        {
            var finished = await mediator.Send(new FinishSession(sessionId, EndReasons.NeverStarted), cancellationToken);
            if (!finished.IsOk)
            {
                return finished.Error;
            }
        }

        var call = (await db.LockedAsync(request.CallId, cancellationToken))!;
        await db.Entry(call).ReloadAsync(cancellationToken);
        var now = clock.GetUtcNow();
        var outcome = call.CancelRequestedAt is null ? request.Outcome : Outcome.Canceled with { SipStatusCode = request.Outcome.SipStatusCode, SipReason = request.Outcome.SipReason };
        if (!await unit.EndAttemptAsync(call.Id, request.Attempt, outcome.Status is CallStatus.Completed ? "answered" : CallDb.Text(outcome.Status), outcome, now, cancellationToken)
            || call.IsOver || call.Attempts != request.Attempt)
        {
            return default(Done);
        }

        await unit.NoteAsync(call.Id, now, "attempt.ended", $"Attempt {request.Attempt}: {outcome.Cause}{(outcome.SipStatusCode is { } code ? $" (SIP {code} {outcome.SipReason})" : "")}", cancellationToken);
        if (call.CancelRequestedAt is null && call.RetryRule.Allows(outcome, call.Dialed))
        {
            var due = now + TimeSpan.FromSeconds(call.RetryRule.DelayS);
            call.Requeue(due);
            await db.SaveChangesAsync(cancellationToken);
            await unit.EnqueueAsync(call.Id, call.TrunkId, call.Priority, due, now, cancellationToken);
            return default(Done);
        }

        if (call.RoomName is { } room && request.SessionId is null)
        {
            await outbox.PublishAsync(new CallRoomUnwanted(room), cancellationToken);
        }

        return await ending.UnansweredAsync(call, outcome, outcome.Cause, cancellationToken);
    }
}

internal sealed class PutOffHandler(CallDb db, UnitOfWork unit, IMediator mediator, CallEnding ending, TimeProvider clock) : IRequestHandler<PutOff, Result<Done>>
{
    public async Task<Result<Done>> Handle(PutOff request, CancellationToken cancellationToken)
    {
        if (request.SessionId is { } sessionId)
        {
            var finished = await mediator.Send(new FinishSession(sessionId, EndReasons.NeverStarted), cancellationToken);
            if (!finished.IsOk)
            {
                return finished.Error;
            }
        }

        var call = (await db.LockedAsync(request.CallId, cancellationToken))!;
        await db.Entry(call).ReloadAsync(cancellationToken);
        var now = clock.GetUtcNow();
        if (!await unit.EndAttemptAsync(call.Id, request.Attempt, "not_dialed", new(CallStatus.Failed, request.Cause, Fault.Platform), now, cancellationToken)
            || call.IsOver || call.Attempts != request.Attempt)
        {
            return default(Done);
        }

        await unit.NoteAsync(call.Id, now, "attempt.put_off", $"Attempt {request.Attempt}: {request.Cause}", cancellationToken);
        if (call.CancelRequestedAt is not null)
        {
            return await ending.UnansweredAsync(call, Outcome.Canceled, Outcome.Canceled.Cause, cancellationToken);
        }

        if (now >= call.ExpiresAt)
        {
            return await ending.UnansweredAsync(call, Outcome.Expired with { SipReason = request.Cause }, Outcome.Expired.Cause, cancellationToken);
        }

        call.Requeue(null);
        await db.SaveChangesAsync(cancellationToken);
        await unit.EnqueueAsync(call.Id, call.TrunkId, call.Priority, now + request.For, now, cancellationToken);
        return default(Done);
    }
}
