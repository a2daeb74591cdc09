using VoicePlatform.LiveKit.Webhooks;

namespace VoicePlatform.Sessions.Features;

/// <summary>What the media server tells us, once for all modules. A reaction that fails answers 500, and LiveKit sends the event again.</summary>
internal static class ReceiveLiveKitWebhook
{
    private const int MaxBody = 256 * 1024;

    public static void Map(IEndpointRouteBuilder app) => app
        .MapPost("/livekit/webhook", async (HttpRequest http, WebhookReceiver receiver, IMediator mediator, ILoggerFactory logs, CancellationToken ct) =>
        {
            if (http.ContentLength is null or > MaxBody)
            {
                return Results.StatusCode(StatusCodes.Status413PayloadTooLarge);
            }

            var body = new byte[http.ContentLength.Value];
            await http.Body.ReadExactlyAsync(body, ct);
            if (!receiver.TryReceive(body, http.Headers.Authorization.ToString(), out var webhook, out var refusal))
            {
                SessionLog.WebhookRefused(logs.CreateLogger(typeof(ReceiveLiveKitWebhook)), refusal);
                return Results.Unauthorized();
            }

            // LiveKit does not wait for long; what it began is finished all the same.
            await mediator.Publish((INotification)MediaEvents.Of(webhook), CancellationToken.None);
            return Results.Ok();
        })
        .WithName(nameof(ReceiveLiveKitWebhook))
        .AllowAnonymous()
        .ExcludeFromDescription();
}
