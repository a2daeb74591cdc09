using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.MediaServer.Rooms;
using VoicePlatform.MediaServer.Workers;

namespace VoicePlatform.MediaServer.ServerApi;

/// <summary><c>livekit.AgentDispatchService</c>.</summary>
internal sealed class AgentDispatchApi(RoomDirectory rooms, AgentDispatcher agents)
{
    public TwirpService ToService() => new TwirpService("livekit.AgentDispatchService")
        .Add<CreateAgentDispatchRequest, AgentDispatch>("CreateDispatch", (request, caller, _) => Task.FromResult(Create(request, caller)))
        .Add<DeleteAgentDispatchRequest, AgentDispatch>("DeleteDispatch", (request, caller, _) => Task.FromResult(Delete(request, caller)))
        .Add<ListAgentDispatchRequest, ListAgentDispatchResponse>("ListDispatch", (request, caller, _) => Task.FromResult(List(request, caller)));

    private AgentDispatch Create(CreateAgentDispatchRequest request, VerifiedToken? caller)
    {
        Grants.RequireRoomAdmin(caller, request.Room);
        if (request.Room.Length > Limits.NameLength || Sizes.Refuse(null, request.Metadata, request.Attributes) is not null)
        {
            throw new TwirpException(TwirpCode.InvalidArgument, "room, metadata or attributes are too large");
        }

        while (true)
        {
            var room = rooms.GetOrCreate(new RoomConfiguration(), request.Room, out _);
            try
            {
                return agents.CreateDispatch(room.Sid, request);
            }
            catch (RoomClosedException) when (room.IsClosed)
            {
                // It ended between the two lines above: the next one is new.
            }
        }
    }

    private AgentDispatch Delete(DeleteAgentDispatchRequest request, VerifiedToken? caller)
    {
        Grants.RequireRoomAdmin(caller, request.Room);
        var room = rooms.Find(request.Room) ?? throw TwirpException.NoRoom();
        return agents.DeleteDispatch(room.Sid, request.DispatchId) ?? throw new TwirpException(TwirpCode.NotFound, "dispatch not found");
    }

    private ListAgentDispatchResponse List(ListAgentDispatchRequest request, VerifiedToken? caller)
    {
        Grants.RequireRoomAdmin(caller, request.Room);
        var response = new ListAgentDispatchResponse();
        if (rooms.Find(request.Room) is { } room)
        {
            response.AgentDispatches.Add(agents.ListDispatches(room.Sid, request.DispatchId));
        }

        return response;
    }
}
