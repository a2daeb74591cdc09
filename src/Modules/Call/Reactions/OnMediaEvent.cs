using VoicePlatform.Calls.Data;
using VoicePlatform.Calls.Inbound;
using VoicePlatform.Calls.Recording;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Calls.Reactions;

/// <summary>What LiveKit tells that concerns calls: a telephone rings here, a caller gave up, a recorder is done.</summary>
internal sealed class OnMediaEvent(CallDb db, InboundCalls inbound, IMediator mediator) : INotificationHandler<MediaEvent>
{
    public Task Handle(MediaEvent notification, CancellationToken cancellationToken) => notification switch
    {
        { Kind: "participant_joined", Participant: { IsPhone: true } phone } when notification.RoomName.StartsWith(InboundCalls.RoomPrefix, StringComparison.Ordinal) =>
            inbound.RingAsync(notification.RoomName, phone, cancellationToken),
        { Kind: "participant_left", Participant: { IsPhone: true } phone } => GaveUpAsync(notification.RoomName, phone.Identity, cancellationToken),
        { Kind: "egress_started" or "egress_updated" or "egress_ended", Recording: { } recording } => RecordedAsync(notification.RoomName, recording, cancellationToken),
        _ => Task.CompletedTask,
    };

    /// <summary>A caller who hung up before anybody answered. What was answered is the agent's to end: it still has last words to write down.</summary>
    private async Task GaveUpAsync(string room, string identity, CancellationToken ct)
    {
        var sessionId = await db.Calls.AsNoTracking()
            .Where(c => c.RoomName == room && c.ParticipantIdentity == identity && c.Direction == CallDirection.Inbound && c.Status == CallStatus.Ringing)
            .Select(c => c.SessionId).SingleOrDefaultAsync(ct);
        if (sessionId is not null)
        {
            Check(await mediator.Send(new FinishSession(sessionId, EndReasons.CallerLeft), ct));
        }
    }

    private async Task RecordedAsync(string room, MediaRecording recording, CancellationToken ct)
    {
        var callId = await db.Calls.AsNoTracking()
            .Where(c => c.RecordingEgressId == recording.EgressId || (c.RoomName == room && c.RecordingPath != null && c.RecordingEgressId == null))
            .Select(c => c.Id).FirstOrDefaultAsync(ct);
        if (callId is null)
        {
            return;
        }

        Check(await mediator.Send(new NoteRecordingRuns(callId, recording.EgressId), ct));
        if (recording.IsOver)
        {
            Check(await mediator.Send(new NoteRecordingEnded(callId, recording.Error, recording.Duration, recording.SizeBytes), ct));
        }
    }

    private static void Check(Result<Done> result)
    {
        if (!result.IsOk)
        {
            throw new InvalidOperationException($"LiveKit's event could not be taken in: {result.Error.Code}.");
        }
    }
}
