using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Answers;

internal sealed class ReportPhoneStateHandler(SessionDb db, IMediator mediator, TimeProvider clock) : IRequestHandler<ReportPhoneState, Result<Done>>
{
    public async Task<Result<Done>> Handle(ReportPhoneState request, CancellationToken cancellationToken)
    {
        // The agent, the dialler and the webhook may all see it: the row orders them, and the first one starts the conversation.
        var session = await db.Sessions
            .FromSql($"SELECT * FROM session.sessions WHERE id = {request.SessionId} FOR UPDATE")
            .SingleOrDefaultAsync(cancellationToken);
        if (session?.CallId is not { } callId)
        {
            return SessionErrors.NotFound;
        }

        if (session is { Status: SessionStatus.Ended, StartedAt: null } && request.State is PhoneState.Answered)
        {
            // Answered and hung up before anybody could take note.
            return SessionErrors.AlreadyEnded;
        }

        var now = clock.GetUtcNow();
        if (request.State is PhoneState.Answered && session.Start(now))
        {
            await db.SaveChangesAsync(cancellationToken);
            await mediator.Publish((INotification)new PhoneSessionStarted(session.Id, callId, now), cancellationToken);
        }
        else if (request.State is PhoneState.Ringing && session.Status is SessionStatus.Created)
        {
            await mediator.Publish((INotification)new PhoneSessionRinging(session.Id, callId, now), cancellationToken);
        }

        return default(Done);
    }
}
