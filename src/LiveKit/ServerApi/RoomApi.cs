using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;

namespace VoicePlatform.LiveKit.ServerApi;

/// <summary>Rooms and the participants in them.</summary>
public readonly struct RoomApi
{
    private readonly TwirpClient _twirp;

    internal RoomApi(TwirpClient twirp) => _twirp = twirp;

    /// <summary>Creates a room, or returns the one of that name.</summary>
    public Task<Room> CreateAsync(CreateRoomRequest request, CancellationToken cancellationToken) =>
        _twirp.CallAsync<Room>(
            "livekit.RoomService/CreateRoom",
            request,
            new AccessToken { Video = new VideoGrant { RoomCreate = true, RoomRecord = request.Egress is not null } },
            Repeat.Safe,
            cancellationToken);

    /// <param name="names">Only these rooms; empty: all.</param>
    public async Task<IReadOnlyList<Room>> ListAsync(IEnumerable<string> names, CancellationToken cancellationToken)
    {
        var grants = new AccessToken { Video = new VideoGrant { RoomList = true } };
        var request = new ListRoomsRequest { Names = { names } };
        return (await _twirp.CallAsync<ListRoomsResponse>("livekit.RoomService/ListRooms", request, grants, Repeat.Safe, cancellationToken)).Rooms;
    }

    /// <summary>Ends a room and disconnects everybody in it.</summary>
    public Task DeleteAsync(string room, CancellationToken cancellationToken) =>
        _twirp.CallAsync<DeleteRoomResponse>(
            "livekit.RoomService/DeleteRoom",
            new DeleteRoomRequest { Room = room },
            new AccessToken { Video = new VideoGrant { RoomCreate = true } },
            Repeat.Safe,
            cancellationToken);

    public Task<Room> UpdateMetadataAsync(string room, string metadata, CancellationToken cancellationToken) =>
        _twirp.CallAsync<Room>(
            "livekit.RoomService/UpdateRoomMetadata",
            new UpdateRoomMetadataRequest { Room = room, Metadata = metadata },
            Grants.Admin(room),
            Repeat.Safe,
            cancellationToken);

    public async Task<IReadOnlyList<ParticipantInfo>> ListParticipantsAsync(string room, CancellationToken cancellationToken)
    {
        var request = new ListParticipantsRequest { Room = room };
        var response = await _twirp.CallAsync<ListParticipantsResponse>(
            "livekit.RoomService/ListParticipants", request, Grants.Admin(room), Repeat.Safe, cancellationToken);
        return response.Participants;
    }

    public Task<ParticipantInfo> GetParticipantAsync(string room, string identity, CancellationToken cancellationToken) =>
        _twirp.CallAsync<ParticipantInfo>(
            "livekit.RoomService/GetParticipant",
            new RoomParticipantIdentity { Room = room, Identity = identity },
            Grants.Admin(room),
            Repeat.Safe,
            cancellationToken);

    public Task RemoveParticipantAsync(string room, string identity, CancellationToken cancellationToken) =>
        _twirp.CallAsync<RemoveParticipantResponse>(
            "livekit.RoomService/RemoveParticipant",
            new RoomParticipantIdentity { Room = room, Identity = identity },
            Grants.Admin(room),
            Repeat.Safe,
            cancellationToken);

    public Task<MuteRoomTrackResponse> MuteTrackAsync(MuteRoomTrackRequest request, CancellationToken cancellationToken) =>
        _twirp.CallAsync<MuteRoomTrackResponse>(
            "livekit.RoomService/MutePublishedTrack", request, Grants.Admin(request.Room), Repeat.Safe, cancellationToken);

    /// <summary>Changes metadata, name, attributes or permissions; a permission message replaces all permissions.</summary>
    public Task<ParticipantInfo> UpdateParticipantAsync(UpdateParticipantRequest request, CancellationToken cancellationToken) =>
        _twirp.CallAsync<ParticipantInfo>(
            "livekit.RoomService/UpdateParticipant", request, Grants.Admin(request.Room), Repeat.Safe, cancellationToken);

    public Task UpdateSubscriptionsAsync(UpdateSubscriptionsRequest request, CancellationToken cancellationToken) =>
        _twirp.CallAsync<UpdateSubscriptionsResponse>(
            "livekit.RoomService/UpdateSubscriptions", request, Grants.Admin(request.Room), Repeat.Safe, cancellationToken);

    public Task SendDataAsync(SendDataRequest request, CancellationToken cancellationToken) =>
        _twirp.CallAsync<SendDataResponse>("livekit.RoomService/SendData", request, Grants.Admin(request.Room), Repeat.Never, cancellationToken);

    /// <summary>Not implemented by the open-source server, which answers <c>unimplemented</c>.</summary>
    public Task ForwardParticipantAsync(ForwardParticipantRequest request, CancellationToken cancellationToken) =>
        _twirp.CallAsync<ForwardParticipantResponse>(
            "livekit.RoomService/ForwardParticipant",
            request,
            Grants.Admin(request.Room, request.DestinationRoom),
            Repeat.Never,
            cancellationToken);

    /// <summary>Not implemented by the open-source server, which answers <c>unimplemented</c>.</summary>
    public Task MoveParticipantAsync(MoveParticipantRequest request, CancellationToken cancellationToken) =>
        _twirp.CallAsync<MoveParticipantResponse>(
            "livekit.RoomService/MoveParticipant",
            request,
            Grants.Admin(request.Room, request.DestinationRoom),
            Repeat.Never,
            cancellationToken);

    /// <summary>Calls a method of a participant and waits for its answer.</summary>
    public async Task<string> PerformRpcAsync(PerformRpcRequest request, CancellationToken cancellationToken)
    {
        var timeout = TimeSpan.FromMilliseconds(request.ResponseTimeoutMs) + TwirpClient.DefaultTimeout;
        var response = await _twirp.CallAsync<PerformRpcResponse>(
            "livekit.RoomService/PerformRpc", request, Grants.Admin(request.Room), Repeat.Never, cancellationToken, timeout);
        return response.Payload;
    }
}
