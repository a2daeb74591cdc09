using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.MediaServer.Transport;
using VoicePlatform.MediaServer.Webhooks;
using VoicePlatform.MediaServer.Workers;

namespace VoicePlatform.MediaServer.Rooms;

/// <summary>What every room needs from the server around it.</summary>
internal sealed record RoomServices(
    MediaServerOptions Options,
    TimeProvider Clock,
    ILoggerFactory Logs,
    MediaTransport Transport,
    WebhookSender Webhooks,
    AgentDispatcher Agents,
    ServerInfo Server)
{
    /// <summary>How long a refreshed token is valid; it is renewed at half of that.</summary>
    public static readonly TimeSpan RefreshedTokenLifetime = TimeSpan.FromMinutes(10);

    /// <summary>A new token with the participant's present name, metadata and rights.</summary>
    public string RefreshToken(Participant participant, string room)
    {
        var key = new ApiKey(participant.ApiKeyId, Options.ApiKeys[participant.ApiKeyId]);
        return new AccessToken
        {
            Identity = participant.Identity,
            Name = participant.Name,
            Metadata = participant.Metadata,
            Attributes = participant.Attributes.Count == 0 ? null : participant.Attributes,
            Kind = participant.Kind is ParticipantInfo.Types.Kind.Standard ? null : Names.Of(participant.Kind),
            Video = participant.ToGrant(room),
        }.Sign(key, Clock.GetUtcNow(), RefreshedTokenLifetime);
    }
}

/// <summary>Names that tokens use for enum values.</summary>
internal static class Names
{
    public static string Of(ParticipantInfo.Types.Kind kind) => kind switch
    {
        ParticipantInfo.Types.Kind.Ingress => "ingress",
        ParticipantInfo.Types.Kind.Egress => "egress",
        ParticipantInfo.Types.Kind.Sip => "sip",
        ParticipantInfo.Types.Kind.Agent => "agent",
        ParticipantInfo.Types.Kind.Connector => "connector",
        ParticipantInfo.Types.Kind.Bridge => "bridge",
        _ => "standard",
    };

    public static ParticipantInfo.Types.Kind KindOf(string? name) => name?.ToUpperInvariant() switch
    {
        "INGRESS" => ParticipantInfo.Types.Kind.Ingress,
        "EGRESS" => ParticipantInfo.Types.Kind.Egress,
        "SIP" => ParticipantInfo.Types.Kind.Sip,
        "AGENT" => ParticipantInfo.Types.Kind.Agent,
        "CONNECTOR" => ParticipantInfo.Types.Kind.Connector,
        "BRIDGE" => ParticipantInfo.Types.Kind.Bridge,
        _ => ParticipantInfo.Types.Kind.Standard,
    };
}
