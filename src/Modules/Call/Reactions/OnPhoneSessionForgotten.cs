using Dapper;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Calls.Reactions;

/// <summary>The recording of the call goes too: it is marked, and its file removed by a job, because a store can be slow or away.</summary>
internal sealed class OnPhoneSessionForgotten(UnitOfWork unit, TimeProvider clock) : INotificationHandler<PhoneSessionForgotten>
{
    public async Task Handle(PhoneSessionForgotten notification, CancellationToken cancellationToken) => await (await unit.OpenAsync(cancellationToken)).ExecuteAsync(new(
        "UPDATE call.calls SET recording_unwanted_at = coalesce(recording_unwanted_at, @now) WHERE id = @CallId AND session_id = @SessionId AND recording_path IS NOT NULL",
        new { notification.CallId, notification.SessionId, now = clock.GetUtcNow() }, unit.Transaction, cancellationToken: cancellationToken));
}
