using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.MediaServer.Rooms;
using Room = VoicePlatform.LiveKit.Protocol.Room;

namespace VoicePlatform.MediaServer.ServerApi;

/// <summary><c>livekit.RoomService</c>.</summary>
internal sealed class RoomApi(RoomDirectory rooms, EgressApi egress, MediaServerOptions options, TimeProvider clock)
{
    private static readonly TimeSpan DefaultRpcTimeout = TimeSpan.FromSeconds(15);

    public TwirpService ToService() => new TwirpService("livekit.RoomService")
        .Add<CreateRoomRequest, Room>("CreateRoom", CreateRoomAsync)
        .Add<ListRoomsRequest, ListRoomsResponse>("ListRooms", ListRoomsAsync)
        .Add<DeleteRoomRequest, DeleteRoomResponse>("DeleteRoom", DeleteRoomAsync)
        .Add<ListParticipantsRequest, ListParticipantsResponse>("ListParticipants", ListParticipantsAsync)
        .Add<RoomParticipantIdentity, ParticipantInfo>("GetParticipant", GetParticipantAsync)
        .Add<RoomParticipantIdentity, RemoveParticipantResponse>("RemoveParticipant", RemoveParticipantAsync)
        .Add<MuteRoomTrackRequest, MuteRoomTrackResponse>("MutePublishedTrack", MuteTrackAsync)
        .Add<UpdateParticipantRequest, ParticipantInfo>("UpdateParticipant", UpdateParticipantAsync)
        .Add<UpdateSubscriptionsRequest, UpdateSubscriptionsResponse>("UpdateSubscriptions", UpdateSubscriptionsAsync)
        .Add<SendDataRequest, SendDataResponse>("SendData", SendDataAsync)
        .Add<UpdateRoomMetadataRequest, Room>("UpdateRoomMetadata", UpdateMetadataAsync)
        .Add<ForwardParticipantRequest, ForwardParticipantResponse>("ForwardParticipant", (request, caller, _) =>
            CloudOnly<ForwardParticipantResponse>(caller, request.Room, request.DestinationRoom))
        .Add<MoveParticipantRequest, MoveParticipantResponse>("MoveParticipant", (request, caller, _) =>
            CloudOnly<MoveParticipantResponse>(caller, request.Room, request.DestinationRoom))
        .Add<PerformRpcRequest, PerformRpcResponse>("PerformRpc", PerformRpcAsync);

    private async Task<Room> CreateRoomAsync(CreateRoomRequest request, VerifiedToken? caller, CancellationToken cancellationToken)
    {
        Grants.RequireRoomCreate(caller);
        RequireRoomName(request.Name);
        if (Sizes.Refuse(null, request.Metadata, null) is { } refusal)
        {
            throw new TwirpException(TwirpCode.InvalidArgument, refusal);
        }

        if (request.Egress is { } wanted && (wanted.Room is null || wanted.Participant is not null || wanted.Tracks is not null))
        {
            // Better refused than a recording somebody relies on and that never was.
            throw new TwirpException(TwirpCode.Unimplemented, "automatic egress records the whole room here, not participants or tracks");
        }

        var configuration = new RoomConfiguration
        {
            EmptyTimeout = request.EmptyTimeout,
            DepartureTimeout = request.DepartureTimeout,
            MaxParticipants = request.MaxParticipants,
            Metadata = request.Metadata,
        };
        configuration.Agents.Add(request.Agents);
        while (true)
        {
            var room = rooms.GetOrCreate(configuration, request.Name, out var created);
            try
            {
                var info = await room.AskAsync(() => created ? room.ToInfo() : room.Configure(configuration), cancellationToken);
                if (created && request.Egress?.Room is { } recording)
                {
                    var order = recording.Clone();
                    order.RoomName = request.Name;
                    try
                    {
                        await egress.StartAsync(order, cancellationToken);
                    }
                    catch (TwirpException)
                    {
                        // Not a room that nobody records although that was asked for.
                        await room.CloseAsync(DisconnectReason.RoomDeleted);
                        throw;
                    }
                }

                return info;
            }
            catch (RoomClosedException)
            {
                // It ended between the two lines above: the next one is new.
            }
        }
    }

    private async Task<ListRoomsResponse> ListRoomsAsync(ListRoomsRequest request, VerifiedToken? caller, CancellationToken cancellationToken)
    {
        Grants.RequireRoomList(caller);
        var response = new ListRoomsResponse();
        foreach (var room in rooms.All.Where(room => request.Names.Count == 0 || request.Names.Contains(room.Name)))
        {
            try
            {
                response.Rooms.Add(await room.AskAsync(room.ToInfo, cancellationToken));
            }
            catch (RoomClosedException)
            {
                // Gone meanwhile.
            }
        }

        return response;
    }

    private async Task<DeleteRoomResponse> DeleteRoomAsync(DeleteRoomRequest request, VerifiedToken? caller, CancellationToken cancellationToken)
    {
        Grants.RequireRoomCreate(caller);
        var room = rooms.Find(request.Room) ?? throw TwirpException.NoRoom();
        await room.CloseAsync(DisconnectReason.RoomDeleted).WaitAsync(cancellationToken);
        return new DeleteRoomResponse();
    }

    private async Task<ListParticipantsResponse> ListParticipantsAsync(
        ListParticipantsRequest request,
        VerifiedToken? caller,
        CancellationToken cancellationToken)
    {
        Grants.RequireRoomAdmin(caller, request.Room);
        var response = new ListParticipantsResponse();
        if (rooms.Find(request.Room) is { } room)
        {
            response.Participants.Add(await room.AskAsync(room.ListParticipants, cancellationToken));
        }

        return response;
    }

    private async Task<ParticipantInfo> GetParticipantAsync(RoomParticipantIdentity request, VerifiedToken? caller, CancellationToken cancellationToken)
    {
        Grants.RequireRoomAdmin(caller, request.Room);
        var room = FindRoomOfParticipant(request.Room);
        return await room.AskAsync(() => room.FindParticipant(request.Identity), cancellationToken) ?? throw TwirpException.NoParticipant();
    }

    private async Task<RemoveParticipantResponse> RemoveParticipantAsync(
        RoomParticipantIdentity request,
        VerifiedToken? caller,
        CancellationToken cancellationToken)
    {
        Grants.RequireRoomAdmin(caller, request.Room);
        var room = FindRoomOfParticipant(request.Room);
        return await room.AskAsync(() => room.RemoveParticipant(request.Identity, DisconnectReason.ParticipantRemoved), cancellationToken)
            ? new RemoveParticipantResponse()
            : throw TwirpException.NoParticipant();
    }

    private async Task<MuteRoomTrackResponse> MuteTrackAsync(MuteRoomTrackRequest request, VerifiedToken? caller, CancellationToken cancellationToken)
    {
        Grants.RequireRoomAdmin(caller, request.Room);
        if (!request.Muted && !options.EnableRemoteUnmute)
        {
            throw new TwirpException(TwirpCode.FailedPrecondition, "remote unmute not enabled");
        }

        var room = FindRoomOfParticipant(request.Room);
        var track = await room.AskAsync(() => room.MuteTrack(request), cancellationToken);
        return new MuteRoomTrackResponse { Track = track ?? throw new TwirpException(TwirpCode.NotFound, "track is not found") };
    }

    private async Task<ParticipantInfo> UpdateParticipantAsync(UpdateParticipantRequest request, VerifiedToken? caller, CancellationToken cancellationToken)
    {
        Grants.RequireRoomAdmin(caller, request.Room);
        var room = FindRoomOfParticipant(request.Room);
        try
        {
            return await room.AskAsync(() => room.UpdateParticipant(request), cancellationToken) ?? throw TwirpException.NoParticipant();
        }
        catch (TooLargeException e)
        {
            throw new TwirpException(TwirpCode.InvalidArgument, e.Message);
        }
    }

    private async Task<UpdateSubscriptionsResponse> UpdateSubscriptionsAsync(
        UpdateSubscriptionsRequest request,
        VerifiedToken? caller,
        CancellationToken cancellationToken)
    {
        Grants.RequireRoomAdmin(caller, request.Room);
        var room = FindRoomOfParticipant(request.Room);
        return await room.AskAsync(() => room.UpdateSubscriptions(request), cancellationToken)
            ? new UpdateSubscriptionsResponse()
            : throw TwirpException.NoParticipant();
    }

    private async Task<SendDataResponse> SendDataAsync(SendDataRequest request, VerifiedToken? caller, CancellationToken cancellationToken)
    {
        Grants.RequireRoomAdmin(caller, request.Room);
        var room = rooms.Find(request.Room) ?? throw TwirpException.NoRoom();
        try
        {
            return await room.AskAsync(
                () =>
                {
                    room.SendData(request);
                    return new SendDataResponse();
                },
                cancellationToken);
        }
        catch (TooLargeException e)
        {
            throw new TwirpException(TwirpCode.InvalidArgument, e.Message);
        }
    }

    private async Task<Room> UpdateMetadataAsync(UpdateRoomMetadataRequest request, VerifiedToken? caller, CancellationToken cancellationToken)
    {
        Grants.RequireRoomAdmin(caller, request.Room);
        if (Sizes.Refuse(null, request.Metadata, null) is { } refusal)
        {
            throw new TwirpException(TwirpCode.InvalidArgument, refusal);
        }

        var room = rooms.Find(request.Room) ?? throw TwirpException.NoRoom();
        return await room.AskAsync(() => room.SetMetadata(request.Metadata), cancellationToken);
    }

    private async Task<PerformRpcResponse> PerformRpcAsync(PerformRpcRequest request, VerifiedToken? caller, CancellationToken cancellationToken)
    {
        Grants.RequireRoomAdmin(caller, request.Room);
        if (System.Text.Encoding.UTF8.GetByteCount(request.Payload) > Limits.RpcPayloadBytes)
        {
            throw new TwirpException(TwirpCode.InvalidArgument, $"payload is larger than {Limits.RpcPayloadBytes} bytes");
        }

        var room = FindRoomOfParticipant(request.Room);
        var patience = request.ResponseTimeoutMs > 0 ? TimeSpan.FromMilliseconds(Math.Min(request.ResponseTimeoutMs, 60_000)) : DefaultRpcTimeout;
        request.ResponseTimeoutMs = (uint)patience.TotalMilliseconds;
        var callId = Guid.CreateVersion7(clock.GetUtcNow()).ToString();
        var call = await room.AskAsync(() => room.CallParticipant(request, callId), cancellationToken) ?? throw TwirpException.NoParticipant();
        try
        {
            var answer = await call.Answer.WaitAsync(patience, clock, cancellationToken);
            return answer.ValueCase is RpcResponse.ValueOneofCase.Error
                ? throw new TwirpException(TwirpCode.FailedPrecondition, answer.Error.Message)
                {
                    Meta = new Dictionary<string, string>(StringComparer.Ordinal)
                    {
                        ["rpc_error_code"] = answer.Error.Code.ToString(),
                        ["rpc_error_data"] = answer.Error.Data,
                    },
                }
                : new PerformRpcResponse { Payload = answer.Payload };
        }
        catch (TimeoutException)
        {
            throw new TwirpException(TwirpCode.DeadlineExceeded, "the participant did not answer in time");
        }
        finally
        {
            await room.PostAsync(() => room.ForgetCall(callId), CancellationToken.None);
        }
    }

    private static Task<T> CloudOnly<T>(VerifiedToken? caller, string room, string destination)
    {
        Grants.RequireRoomAdmin(caller, room);
        return caller?.Token.Video?.DestinationRoom != destination
            ? throw TwirpException.Denied()
            : throw new TwirpException(TwirpCode.Unimplemented, "not implemented: available on LiveKit Cloud only");
    }

    private static void RequireRoomName(string name)
    {
        if (name.Length is 0 or > Limits.NameLength)
        {
            throw new TwirpException(TwirpCode.InvalidArgument, $"name is required and has at most {Limits.NameLength} characters");
        }
    }

    private Rooms.Room FindRoomOfParticipant(string name) => rooms.Find(name) ?? throw TwirpException.NoParticipant();
}
