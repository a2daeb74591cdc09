using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Contracts.Tenants;

namespace VoicePlatform.Sessions.Reactions;

/// <summary>Removes the events that told of the conversation and of its call: they carry transcript and analysis. While one of them is on its way all wait for it.</summary>
internal sealed class OnConversationForgotten(IMediator mediator) : INotificationHandler<ConversationForgotten>
{
    public async Task Handle(ConversationForgotten notification, CancellationToken cancellationToken)
    {
        string[] subjects = notification.CallId is { } call ? [notification.SessionId, call] : [notification.SessionId];
        var waiting = await mediator.Send(new RemoveEvents(notification.TenantId, subjects), cancellationToken);
        if (waiting is not { IsOk: true, Value: 0 })
        {
            throw new InvalidOperationException($"Events of {notification.SessionId} are still on their way to their receivers; they are removed later.");
        }
    }
}
