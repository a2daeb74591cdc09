using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Transport;

namespace VoicePlatform.MediaServer.Rooms;

/// <summary>Participants inside this process: no socket, no token, no offers; to the others they are like any.</summary>
internal sealed partial class Room
{
    private const string LocalCid = "audio";
    private const string LocalMid = "0";

    /// <summary>Lets a participant of this process in. An identity that is there already is replaced, as a client would.</summary>
    /// <exception cref="RoomClosedException">The room has ended.</exception>
    public Task<LocalParticipant> JoinLocalAsync(LocalJoin join, ILocalObserver observer, CancellationToken cancellationToken) =>
        AskAsync(() => JoinLocal(join, observer), cancellationToken);

    internal PublishedTrack? FindPublished(string trackSid) =>
        _participants.Values.SelectMany(participant => participant.Tracks).FirstOrDefault(track => track.Sid == trackSid);

    internal InjectedAudio PublishLocal(Participant participant, string name)
    {
        var source = _services.Transport.CreateSource(LocalMid);
        if (IsPresent(participant))
        {
            AddTrack(participant, new AddTrackRequest { Cid = LocalCid, Name = name, Type = TrackType.Audio, Source = TrackSource.Microphone });
            Publish(participant, new OfferedSection(LocalMid, "audio", LocalCid, source.Track), source.Track);
        }

        return source;
    }

    internal void ListenLocal(Participant participant)
    {
        if (!IsPresent(participant) || participant.AutoSubscribe)
        {
            return;
        }

        participant.AutoSubscribe = true;
        foreach (var publisher in _participants.Values)
        {
            SubscribeToAll(participant, publisher);
        }
    }

    internal void UpdateLocal(Participant participant, IReadOnlyDictionary<string, string> attributes)
    {
        if (IsPresent(participant))
        {
            participant.SetAttributes(attributes);
            Changed(participant);
        }
    }

    internal void RemoveLocal(Participant participant, DisconnectReason reason) => Remove(participant, reason, LeaveRequest.Types.Action.Disconnect);

    private LocalParticipant JoinLocal(LocalJoin join, ILocalObserver observer)
    {
        var peer = new LocalPeer(this, observer);
        var participant = new Participant
        {
            Sid = Rooms.Sid.Participant(),
            Identity = join.Identity,
            ApiKeyId = _services.Options.ApiKeys.Keys.First(),
            Kind = join.Kind,
            Client = new ClientInfo(),
            JoinedAt = _clock.GetUtcNow(),
            Permission = join.Permission.Clone(),
            Name = join.Name,
            Metadata = join.Metadata,
            AutoSubscribe = false,
            Peer = peer,
            State = ParticipantInfo.Types.State.Active,
            WasActive = true,
            LastMediaState = PeerState.Connected,
        };
        peer.Owner = participant;
        participant.Outbox.IsOpen = true;
        participant.SetAttributes(join.Attributes);
        if (_participants.TryGetValue(join.Identity, out var present))
        {
            Remove(present, DisconnectReason.DuplicateIdentity, LeaveRequest.Types.Action.Disconnect);
        }

        _participants.Add(participant.Identity, participant);
        _wasJoined = true;
        _infoChanged = true;
        Changed(participant);
        FlushChanges();
        Announce("participant_joined", webhook => webhook.Participant = participant.ToInfo());
        _services.Agents.ParticipantJoined(_info.Clone(), participant.ToInfo());
        return new LocalParticipant(this, participant);
    }

    private void TellLocals()
    {
        foreach (var participant in _participants.Values)
        {
            (participant.Peer as LocalPeer)?.OthersChanged();
        }
    }

    private bool IsPresent(Participant participant) => _participants.TryGetValue(participant.Identity, out var present) && present == participant;
}
