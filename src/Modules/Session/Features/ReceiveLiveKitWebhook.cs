using VoicePlatform.Contracts.Sessions;
using VoicePlatform.LiveKit.Webhooks;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Features;

/// <summary>What the media server tells us. A room that is over ends its session, in case the agent could not say so.</summary>
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

            if (webhook.Event == "room_finished")
            {
                await mediator.Send(new RoomFinished(webhook.Room.Name), ct);
            }

            return Results.Ok();
        })
        .WithName(nameof(ReceiveLiveKitWebhook))
        .AllowAnonymous()
        .ExcludeFromDescription();

    internal sealed record RoomFinished(string RoomName) : ICommand<Done>;

    internal sealed class Handler(SessionDb db, IMediator mediator) : IRequestHandler<RoomFinished, Result<Done>>
    {
        public async Task<Result<Done>> Handle(RoomFinished request, CancellationToken cancellationToken)
        {
            var session = await db.Sessions.AsNoTracking().Where(s => s.RoomName == request.RoomName && s.Status != SessionStatus.Ended)
                .Select(s => new { s.Id, s.Status }).SingleOrDefaultAsync(cancellationToken);
            return session is null
                ? default(Done)
                : await mediator.Send(
                    new FinishSession(session.Id, session.Status is SessionStatus.Created ? EndReasons.NeverStarted : EndReasons.CallerLeft), cancellationToken);
        }
    }
}
