using Google.Protobuf;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Transport;
using VoicePlatform.MediaServer.Transport.Sctp;

namespace VoicePlatform.MediaServer.Rooms;

/// <summary>Data messages between participants, and from the server API.</summary>
internal sealed partial class Room
{
    private readonly Dictionary<string, TaskCompletionSource<RpcResponse>> _serverCalls = new(StringComparer.Ordinal);
    private long _droppedData;

    public void CountDropped() => Interlocked.Increment(ref _droppedData);

    public void OnMediaState(Participant participant) => MediaStateChanged(participant);

    public static void OnReliableOpen(Participant participant)
    {
        participant.Outbox.IsOpen = true;
        participant.Outbox.Flush(participant.Peer);
    }

    /// <summary>A participant sent a data message: stamp it with who that is and pass it on.</summary>
    public void OnData(Participant sender, DataChannelKind channel, byte[] message)
    {
        if (sender.State is ParticipantInfo.Types.State.Disconnected || channel is DataChannelKind.DataTrack || !sender.Permission.CanPublishData)
        {
            return;
        }

        DataPacket packet;
        try
        {
            packet = DataPacket.Parser.ParseFrom(message);
        }
        catch (InvalidProtocolBufferException)
        {
            CountDropped();
            return;
        }

        if (channel is DataChannelKind.Reliable && !sender.Sent.Accept(packet.Sequence))
        {
            return;
        }

        if (!Stamp(packet, sender) || AnswersServerCall(packet))
        {
            return;
        }

        Forward(packet, channel, sender);
    }

    /// <summary>Sends a message from outside the room.</summary>
    /// <exception cref="TooLargeException">No data channel takes a message of that size.</exception>
    public void SendData(SendDataRequest request)
    {
        var user = new UserPacket { Payload = request.Data, Nonce = request.Nonce };
        if (request.HasTopic)
        {
            user.Topic = request.Topic;
        }

        user.DestinationIdentities.Add(request.DestinationIdentities);
        user.DestinationSids.Add(request.DestinationSids);
        var packet = new DataPacket { User = user, Kind = request.Kind };
        packet.DestinationIdentities.Add(request.DestinationIdentities);
        AddIdentitiesOfSids(packet, request.DestinationSids);
        if (request.DestinationSids.Count > 0 && packet.DestinationIdentities.Count == 0)
        {
            return;
        }

        if (packet.CalculateSize() > SctpAssociation.MaxMessage)
        {
            throw new TooLargeException($"data with its topic and destinations may have {SctpAssociation.MaxMessage} bytes");
        }

        Forward(packet, request.Kind is DataPacket.Types.Kind.Lossy ? DataChannelKind.Lossy : DataChannelKind.Reliable, sender: null);
    }

    /// <summary>Calls a participant's RPC method in the server's name. Null: no such participant.</summary>
    public ServerCall? CallParticipant(PerformRpcRequest request, string callId)
    {
        if (!_participants.TryGetValue(request.DestinationIdentity, out var callee))
        {
            return null;
        }

        var answer = new TaskCompletionSource<RpcResponse>(TaskCreationOptions.RunContinuationsAsynchronously);
        _serverCalls[callId] = answer;
        var packet = new DataPacket
        {
            DestinationIdentities = { callee.Identity },
            ParticipantIdentity = "server",
            RpcRequest = new RpcRequest
            {
                Id = callId,
                Method = request.Method,
                Payload = request.Payload,
                ResponseTimeoutMs = request.ResponseTimeoutMs,
                Version = 1,
            },
        };
        Forward(packet, DataChannelKind.Reliable, sender: null);
        return new ServerCall(answer.Task);
    }

    public void ForgetCall(string callId) => _serverCalls.Remove(callId);

    private bool AnswersServerCall(DataPacket packet)
    {
        switch (packet.ValueCase)
        {
            case DataPacket.ValueOneofCase.RpcAck:
                return _serverCalls.ContainsKey(packet.RpcAck.RequestId);
            case DataPacket.ValueOneofCase.RpcResponse when _serverCalls.Remove(packet.RpcResponse.RequestId, out var call):
                call.TrySetResult(packet.RpcResponse);
                return true;
            default:
                return false;
        }
    }

    /// <summary>Writes the sender into the message, whatever it claimed. False for messages only a server may send.</summary>
    private bool Stamp(DataPacket packet, Participant sender)
    {
        packet.ParticipantSid = sender.Sid;

        // Agents transcribe others, and send that text in their name.
        if (sender.Kind is not ParticipantInfo.Types.Kind.Agent || packet.ParticipantIdentity.Length == 0)
        {
            packet.ParticipantIdentity = sender.Identity;
        }

        switch (packet.ValueCase)
        {
            case DataPacket.ValueOneofCase.Speaker:
                return false;
            case DataPacket.ValueOneofCase.User:
                var user = packet.User;
#pragma warning disable CS0612 // older clients read the sender and the addressees inside the user packet
                user.ParticipantSid = sender.Sid;
                user.ParticipantIdentity = sender.Identity;
                if (packet.DestinationIdentities.Count == 0)
                {
                    packet.DestinationIdentities.Add(user.DestinationIdentities);
                    AddIdentitiesOfSids(packet, user.DestinationSids);
                    return user.DestinationSids.Count == 0 || packet.DestinationIdentities.Count > 0;
                }
#pragma warning restore CS0612
                return true;
            default:
                return true;
        }
    }

    private void AddIdentitiesOfSids(DataPacket packet, IEnumerable<string> sids)
    {
        foreach (var sid in sids)
        {
            if (_participants.Values.FirstOrDefault(p => p.Sid == sid) is { } addressee && !packet.DestinationIdentities.Contains(addressee.Identity))
            {
                packet.DestinationIdentities.Add(addressee.Identity);
            }
        }
    }

    private void Forward(DataPacket packet, DataChannelKind channel, Participant? sender)
    {
        var bytes = packet.ToByteArray();
        if (bytes.Length > SctpAssociation.MaxMessage)
        {
            // No channel will ever take it, and whatever came after it would wait behind it.
            CountDropped();
            return;
        }

        var destinations = packet.DestinationIdentities;
        if (channel is DataChannelKind.Reliable)
        {
            sender?.Sent.Add(packet.Sequence, bytes, destinations);
        }

        foreach (var receiver in _participants.Values)
        {
            if (receiver != sender && (destinations.Count == 0 || destinations.Contains(receiver.Identity)))
            {
                Deliver(receiver, channel, bytes);
            }
        }
    }

    private static void Deliver(Participant receiver, DataChannelKind channel, byte[] bytes)
    {
        if (channel is DataChannelKind.Lossy)
        {
            receiver.Peer.SendData(channel, bytes);
        }
        else if (!receiver.Outbox.Send(receiver.Peer, bytes))
        {
            // The next tick ends it: not while the participants are being walked through.
            receiver.LostReliableData = true;
        }
    }

    /// <summary>Gives a participant that resumed what it did not receive.</summary>
    private void Replay(Participant receiver, IEnumerable<DataChannelReceiveState> received)
    {
        var last = new Dictionary<string, uint>(StringComparer.Ordinal);
        foreach (var state in received)
        {
            last[state.PublisherSid] = state.LastSeq;
        }

        foreach (var publisher in _participants.Values)
        {
            if (publisher != receiver && last.TryGetValue(publisher.Sid, out var sequence))
            {
                foreach (var message in publisher.Sent.After(sequence, receiver.Identity))
                {
                    Deliver(receiver, DataChannelKind.Reliable, message);
                }
            }
        }
    }
}

/// <summary>A call the server made to a participant.</summary>
internal sealed record ServerCall(Task<RpcResponse> Answer);
