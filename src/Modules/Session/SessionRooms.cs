using System.Text.Json.Nodes;
using VoicePlatform.LiveKit;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.ServerApi;
using VoicePlatform.LiveKit.Tokens;

namespace VoicePlatform.Sessions;

/// <summary>The rooms of conversations in LiveKit, and the tokens that open them.</summary>
internal sealed class SessionRooms(LiveKitApi livekit, LiveKitServer server, TimeProvider clock)
{
    public static readonly TimeSpan TokenLifetime = TimeSpan.FromHours(1);

    /// <summary>Seconds a room outlives its last participant: time for a caller who lost the connection to come back.</summary>
    private const uint DepartureTimeout = 20;

    /// <summary>Makes the room and, where one is to come, sends the agent.</summary>
    /// <exception cref="LiveKitApiException">LiveKit refuses, or does not answer.</exception>
    public Task CreateAsync(AcceptedSession session, string? agentMetadataJson, CancellationToken ct)
    {
        var request = new CreateRoomRequest { Name = session.RoomName, DepartureTimeout = DepartureTimeout };
        if (session.DispatchName is { } agent)
        {
            var metadata = agentMetadataJson is null ? [] : JsonNode.Parse(agentMetadataJson)!.AsObject();
            metadata["session_id"] = session.SessionId;
            request.Agents.Add(new RoomAgentDispatch { AgentName = agent, Metadata = metadata.ToJsonString(Json.Options) });
        }

        return livekit.Rooms.CreateAsync(request, ct);
    }

    public async Task<bool> ExistsAsync(string room, CancellationToken ct) => (await livekit.Rooms.ListAsync([room], ct)).Count > 0;

    /// <summary>Nothing happens when it is gone already.</summary>
    public async Task DeleteAsync(string room, CancellationToken ct)
    {
        try
        {
            await livekit.Rooms.DeleteAsync(room, ct);
        }
        catch (LiveKitApiException e) when (e.Code == "not_found")
        {
            // Gone already, or never made.
        }
    }

    public string CallersToken(AcceptedSession session, ParticipantSpec? participant) => new AccessToken
    {
        Identity = session.Identity,
        Name = participant?.Name,
        Metadata = participant?.Metadata,
        Attributes = participant?.Attributes,
        Video = new() { RoomJoin = true, Room = session.RoomName, CanPublish = true, CanSubscribe = true, CanPublishData = true },
    }.Sign(server.Key, clock.GetUtcNow(), TokenLifetime);

    /// <summary>For an agent of somebody else's, who joins by token and not as a worker.</summary>
    public string AgentsToken(string room, string identity) => new AccessToken
    {
        Identity = identity,
        Kind = "agent",
        Video = new() { RoomJoin = true, Room = room, CanPublish = true, CanSubscribe = true, CanPublishData = true, CanUpdateOwnMetadata = true, Agent = true },
    }.Sign(server.Key, clock.GetUtcNow(), TokenLifetime);
}
