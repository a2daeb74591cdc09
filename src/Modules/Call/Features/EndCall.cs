using VoicePlatform.Calls.Data;
using VoicePlatform.Calls.Recording;
using VoicePlatform.Contracts.Calls;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.SharedKernel.Outbox;

namespace VoicePlatform.Calls.Features;

/// <summary>Ends a call wherever it is: out of the queue, while it rings (the telephone stops), or in mid-conversation. Again answers the same.</summary>
internal static class EndCall
{
    public static void Map(RouteGroupBuilder calls) => calls
        .MapPost("/{id}/end", async (string id, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(id), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(EndCall))
        .Produces<CallView>();

    public sealed record Command(string CallId) : ICommand<CallView>;

    internal sealed class Handler(
        CallDb db, UnitOfWork unit, IMediator mediator, CallEnding ending, OutboxWriter outbox, Recordings recordings, Caller caller, TimeProvider clock)
        : IRequestHandler<Command, Result<CallView>>
    {
        public async Task<Result<CallView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var seen = await db.Calls.AsNoTracking().SingleOrDefaultAsync(c => c.Id == command.CallId && c.TenantId == caller.TenantId, cancellationToken);
            if (seen is null)
            {
                return CallErrors.NotFound;
            }

            // The session before the call, as everywhere. An inbound call has one from its first ring on.
            if (seen is { SessionId: { } sessionId, IsOver: false } && (seen.Status is CallStatus.InProgress || seen.Direction is CallDirection.Inbound))
            {
                var finished = await mediator.Send(new FinishSession(sessionId, EndReasons.Requested), cancellationToken);
                if (!finished.IsOk)
                {
                    return finished.Error;
                }
            }

            var call = (await db.LockedAsync(seen.Id, cancellationToken))!;
            await db.Entry(call).ReloadAsync(cancellationToken);
            var ended = call.Status switch
            {
                CallStatus.Queued => await CancelQueuedAsync(call, cancellationToken),
                CallStatus.Dialing or CallStatus.Ringing => await CancelRingingAsync(call, cancellationToken),
                _ => default(Done),
            };
            return ended.IsOk ? CallView.Of(call, recordings.LinkOf(call)) : ended.Error;
        }

        private async Task<Result<Done>> CancelQueuedAsync(Call call, CancellationToken ct)
        {
            await unit.DequeueAsync(call.Id, ct);
            return await ending.UnansweredAsync(call, Outcome.Canceled, EndReasons.Requested, ct);
        }

        /// <summary>The dialler holds the attempt: it hears of the room's end and writes what came of it.</summary>
        private async Task<Result<Done>> CancelRingingAsync(Call call, CancellationToken ct)
        {
            call.RequestCancel(clock.GetUtcNow());
            await db.SaveChangesAsync(ct);
            await unit.NoteAsync(call.Id, clock.GetUtcNow(), "call.cancel_requested", "", ct);
            if (call.RoomName is { } room)
            {
                await outbox.PublishAsync(new CallRoomUnwanted(room), ct);
            }

            return default(Done);
        }
    }
}
