using VoicePlatform.Contracts.Sessions;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.ServerApi;

namespace VoicePlatform.Sessions;

/// <summary>Reads what modules need out of LiveKit's webhook.</summary>
internal static class MediaEvents
{
    public static MediaEvent Of(WebhookEvent webhook) => new(
        webhook.Id,
        webhook.Event,
        DateTimeOffset.FromUnixTimeSeconds(Math.Clamp(webhook.CreatedAt, 0, DateTimeOffset.MaxValue.ToUnixTimeSeconds())),
        webhook.Room?.Name ?? webhook.EgressInfo?.RoomName ?? "",
        webhook.Participant is { } p
            ? new(p.Identity, p.Name, p.Kind is ParticipantInfo.Types.Kind.Sip, p.Kind is ParticipantInfo.Types.Kind.Agent, new Dictionary<string, string>(p.Attributes))
            : null,
        webhook.EgressInfo is { } egress ? Of(egress) : null);

    private static MediaRecording Of(EgressInfo egress)
    {
        var file = egress.FileResults.FirstOrDefault();
        return new(
            egress.EgressId,
            egress.Status.IsOver(),
            egress.Error,
            file?.Location ?? "",
            TimeSpan.FromTicks((file?.Duration ?? 0) / TimeSpan.NanosecondsPerTick),
            file?.Size ?? 0);
    }
}
