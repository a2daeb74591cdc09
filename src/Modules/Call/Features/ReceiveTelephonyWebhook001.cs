using Microsoft.Extensions.Options;
using VoicePlatform.Contracts.Calls;
using VoicePlatform.LiveKit;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.LiveKit.Webhooks;
using VoicePlatform.SharedKernel.Outbox;

namespace VoicePlatform.Calls.Features;

/// <summary>
/// Seed 001's POST /telephony/livekit-webhook: the events of /livekit/webhook at the seed's address, with its own key where one is set.
/// Answered before the work is done, which the outbox carries; an event that comes twice is worked once, because a room has one call.
/// </summary>
internal static class ReceiveTelephonyWebhook001
{
    private const int MaxBody = 256 * 1024;

    public static void Map(IEndpointRouteBuilder app) => app
        .MapPost("/telephony/livekit-webhook", async (
            HttpRequest http, LiveKitServer server, IOptions<CallOptions> options, IMediator mediator, TimeProvider clock, CancellationToken ct) =>
        {
            if (!options.Value.IsSeed001Enabled)
            {
                return Results.NotFound();
            }

            if (http.ContentLength is null or > MaxBody)
            {
                return Results.StatusCode(StatusCodes.Status413PayloadTooLarge);
            }

            var body = new byte[http.ContentLength.Value];
            await http.Body.ReadExactlyAsync(body, ct);
            var key = options.Value is { WebhookKey: { } id, WebhookSecret: { } secret } ? new ApiKey(id, secret) : server.Key;
            if (!new WebhookReceiver(new TokenVerifier(key, clock)).TryReceive(body, http.Headers.Authorization.ToString(), out var webhook, out _))
            {
                return Results.Unauthorized();
            }

            await mediator.Send(new Command(new TelephonyEventReceived(
                webhook.Id, webhook.Event, webhook.Room?.Name ?? "", webhook.Participant?.Identity ?? "", webhook.Participant?.Name ?? "",
                webhook.Participant?.Kind is LiveKit.Protocol.ParticipantInfo.Types.Kind.Sip,
                webhook.Participant?.Attributes.ToDictionary() ?? [])), ct);
            return Results.Ok();
        })
        .WithName(nameof(ReceiveTelephonyWebhook001))
        .AllowAnonymous()
        .ExcludeFromDescription();

    internal sealed record Command(TelephonyEventReceived Event) : ICommand<Done>;

    internal sealed class Handler(OutboxWriter outbox) : IRequestHandler<Command, Result<Done>>
    {
        public async Task<Result<Done>> Handle(Command request, CancellationToken cancellationToken)
        {
            await outbox.PublishAsync(request.Event, cancellationToken);
            return default(Done);
        }
    }
}
