using VoicePlatform.Calls.Data;
using VoicePlatform.Calls.Recording;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Calls.Reactions;

/// <summary>Removes the call's recording: first the file, then what is known of it, so that whatever comes between begins again. Delivered twice, it finds none.</summary>
internal sealed class OnConversationForgotten(CallDb db, Recordings recordings, IMediator mediator) : INotificationHandler<ConversationForgotten>
{
    public async Task Handle(ConversationForgotten notification, CancellationToken cancellationToken)
    {
        var call = await db.Calls.AsNoTracking().SingleOrDefaultAsync(c => c.Id == notification.CallId, cancellationToken);
        if (call?.RecordingPath is null)
        {
            return;
        }

        if (call.RecordingStatus is RecordingStatus.Starting or RecordingStatus.Active)
        {
            throw new InvalidOperationException($"The recording of {call.Id} is not at its end; it is removed later.");
        }

        await recordings.DeleteAsync(call, cancellationToken);
        await mediator.Send(new NoteRecordingRemoved(call.Id), cancellationToken);
    }
}
