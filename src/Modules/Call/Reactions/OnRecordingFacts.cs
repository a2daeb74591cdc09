using VoicePlatform.Calls.Data;
using VoicePlatform.Calls.Recording;
using VoicePlatform.Contracts.Calls;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.ServerApi;

namespace VoicePlatform.Calls.Reactions;

/// <summary>Starts the recorder in an answered call's room. Delivered twice, it finds the one that runs.</summary>
internal sealed class OnRecordingDue(CallDb db, IMediator mediator, LiveKitApi livekit, Recordings recordings, ILogger<OnRecordingDue> log) : INotificationHandler<RecordingDue>
{
    public async Task Handle(RecordingDue notification, CancellationToken cancellationToken)
    {
        var call = await db.Calls.AsNoTracking().SingleAsync(c => c.Id == notification.CallId, cancellationToken);
        if (call is not { RecordingStatus: RecordingStatus.Starting })
        {
            return;
        }

        if (call.IsOver)
        {
            // Too late: nobody is there to be heard any more.
            await mediator.Send(new NoteRecordingEnded(call.Id, "The call was over before the recorder started.", TimeSpan.Zero, 0), cancellationToken);
            return;
        }

        var running = await livekit.Egress.ListAsync(new() { RoomName = notification.RoomName }, cancellationToken);
        var egress = running.Count > 0 ? running[0] : null;
        if (egress is null)
        {
            try
            {
                egress = await livekit.Egress.StartRoomCompositeAsync(
                    new RoomCompositeEgressRequest
                    {
                        RoomName = notification.RoomName,
                        AudioOnly = true,
                        AudioMixing = call.RecordSeparate ? AudioMixing.DualChannelAgent : AudioMixing.DefaultMixing,
                        FileOutputs = { recordings.OutputOf(call) },
                    },
                    cancellationToken);
            }
            catch (LiveKitApiException e) when (e is { OutcomeKnown: true, IsRetryable: false })
            {
                CallLog.RecorderFailed(log, call.Id, e.Message);
                await mediator.Send(new NoteRecordingEnded(call.Id, e.Message, TimeSpan.Zero, 0), cancellationToken);
                return;
            }
        }

        await mediator.Send(new NoteRecordingRuns(call.Id, egress.EgressId), cancellationToken);
    }
}

/// <summary>The end of the room ends its recording; this is for a room that somebody else keeps open.</summary>
internal sealed class OnRecordingOver(LiveKitApi livekit) : INotificationHandler<RecordingOver>
{
    public async Task Handle(RecordingOver notification, CancellationToken cancellationToken)
    {
        try
        {
            await livekit.Egress.StopAsync(notification.EgressId, cancellationToken);
        }
        catch (LiveKitApiException e) when (e.OutcomeKnown && !e.IsRetryable)
        {
            // It has stopped by itself.
        }
    }
}
