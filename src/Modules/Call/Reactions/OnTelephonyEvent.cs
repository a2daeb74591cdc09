using Microsoft.Extensions.Options;
using VoicePlatform.Contracts.Calls;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Calls.Reactions;

/// <summary>Works what came in by seed 001's webhook as if it had come by ours. There, an identity's prefix makes a telephone too.</summary>
internal sealed class OnTelephonyEvent(IMediator mediator, IOptions<CallOptions> options, TimeProvider clock) : INotificationHandler<TelephonyEventReceived>
{
    public Task Handle(TelephonyEventReceived notification, CancellationToken cancellationToken)
    {
        var isPhone = notification.IsPhone || options.Value.AttendsAnybody || notification.Identity.StartsWith(options.Value.IdentityPrefix, StringComparison.Ordinal);
        return mediator.Publish(
            (INotification)new MediaEvent(
                notification.EventId, notification.Kind, clock.GetUtcNow(), notification.RoomName,
                notification.Identity.Length == 0 ? null : new(notification.Identity, notification.DisplayName, isPhone, IsAgent: false, notification.Attributes), null),
            cancellationToken);
    }
}
