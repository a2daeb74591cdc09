using VoicePlatform.LiveKit.Protocol;

namespace VoicePlatform.MediaServer.Rooms;

/// <summary>What the server API asks of a room. All of it runs on the room's loop.</summary>
internal sealed partial class Room
{
    /// <summary>Applies what a repeated CreateRoom gives (unset: as it is).</summary>
    public LiveKit.Protocol.Room Configure(RoomConfiguration configuration)
    {
        _info.EmptyTimeout = configuration.EmptyTimeout > 0 ? configuration.EmptyTimeout : _info.EmptyTimeout;
        _info.DepartureTimeout = configuration.DepartureTimeout > 0 ? configuration.DepartureTimeout : _info.DepartureTimeout;
        _info.MaxParticipants = configuration.MaxParticipants > 0 ? configuration.MaxParticipants : _info.MaxParticipants;
        return configuration.Metadata.Length > 0 && configuration.Metadata != _info.Metadata ? SetMetadata(configuration.Metadata) : ToInfo();
    }

    public IReadOnlyList<ParticipantInfo> ListParticipants() => [.. _participants.Values.Select(participant => participant.ToInfo())];

    /// <summary>A participant by identity; like everything of it, for the room's loop only.</summary>
    public Participant? Find(string identity) => _participants.GetValueOrDefault(identity);

    public ParticipantInfo? FindParticipant(string identity) => _participants.GetValueOrDefault(identity)?.ToInfo();

    /// <summary>False when there is no such participant.</summary>
    public bool RemoveParticipant(
        string identity,
        DisconnectReason reason,
        LeaveRequest.Types.Action action = LeaveRequest.Types.Action.Disconnect)
    {
        if (!_participants.TryGetValue(identity, out var participant))
        {
            return false;
        }

        Remove(participant, reason, action);
        return true;
    }

    public LiveKit.Protocol.Room SetMetadata(string metadata)
    {
        _info.Metadata = metadata;
        Broadcast(new SignalResponse { RoomUpdate = new RoomUpdate { Room = ToInfo() } });
        return ToInfo();
    }

    /// <summary>Mutes or unmutes a track and tells its publisher to do the same.</summary>
    /// <returns>Null when there is no such participant or track.</returns>
    public TrackInfo? MuteTrack(MuteRoomTrackRequest request)
    {
        if (!_participants.TryGetValue(request.Identity, out var participant) || FindTrack(participant, request.TrackSid) is not { } track)
        {
            return null;
        }

        if (track.Info.Muted != request.Muted)
        {
            participant.Send(new SignalResponse { Mute = new MuteTrackRequest { Sid = request.TrackSid, Muted = request.Muted } });
            Mute(participant, request.TrackSid, request.Muted);
        }

        return track.Info.Clone();
    }

    /// <summary>Changes name, metadata, attributes (empty: as they are) and, if given, rights.</summary>
    /// <returns>Null when there is no such participant.</returns>
    /// <exception cref="TooLargeException">A value is too large; nothing was changed.</exception>
    public ParticipantInfo? UpdateParticipant(UpdateParticipantRequest request)
    {
        if (!_participants.TryGetValue(request.Identity, out var participant))
        {
            return null;
        }

        if (Sizes.Refuse(request.Name, request.Metadata, request.Attributes, participant.Attributes) is { } refusal)
        {
            throw new TooLargeException(refusal);
        }

        if (request.Permission is { } permission)
        {
            SetPermission(participant, permission);
        }

        Apply(participant, request.Name, request.Metadata, request.Attributes);
        return participant.ToInfo();
    }

    /// <summary>False when there is no such participant.</summary>
    public bool UpdateSubscriptions(UpdateSubscriptionsRequest request)
    {
        if (!_participants.TryGetValue(request.Identity, out var participant))
        {
            return false;
        }

        UpdateSubscriptions(participant, request.TrackSids.Concat(request.ParticipantTracks.SelectMany(tracks => tracks.TrackSids)), request.Subscribe);
        return true;
    }

    private void SetPermission(Participant participant, ParticipantPermission permission)
    {
        var wasHidden = participant.IsHidden;
        participant.Permission = permission.Clone();

        // What a participant is does not change with what it may.
        participant.Permission.Agent = participant.Permission.Agent || participant.Kind is ParticipantInfo.Types.Kind.Agent;
        foreach (var track in participant.Tracks.Concat(participant.Pending).Where(track => !MayPublish(permission, track.Info.Source)).ToList())
        {
            Unpublish(participant, track, tellPublisher: true);
        }

        foreach (var publisher in _participants.Values)
        {
            SubscribeToAll(participant, publisher);
        }

        if (!wasHidden && participant.IsHidden)
        {
            // To the others a participant that is hidden now has left.
            var info = participant.ToInfo();
            info.State = ParticipantInfo.Types.State.Disconnected;
            info.Version++;
            foreach (var other in _participants.Values.Where(p => p != participant))
            {
                other.Send(new SignalResponse { Update = new ParticipantUpdate { Participants = { info } } });
            }
        }
    }
}
