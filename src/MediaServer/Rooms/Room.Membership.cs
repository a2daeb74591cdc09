using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.MediaServer.Signal;
using VoicePlatform.MediaServer.Transport;

namespace VoicePlatform.MediaServer.Rooms;

/// <summary>What a client brings to join or resume.</summary>
internal sealed record JoinTicket(VerifiedToken Token, JoinRequest Request);

/// <summary>What became of a join.</summary>
internal enum JoinOutcome
{
    Joined,
    Resumed,

    /// <summary>The room has as many participants as it may.</summary>
    Full,

    /// <summary>No media connection could be made for it.</summary>
    NoMedia,

    /// <summary>The server takes nobody any more.</summary>
    Stopping,

    /// <summary>There is nobody to resume: the client was told to join anew.</summary>
    NothingToResume,
}

/// <summary>Coming, going, and coming back.</summary>
internal sealed partial class Room
{
    private const int PingIntervalSeconds = 5;
    private const int PingTimeoutSeconds = 15;

    private static readonly TimeSpan TokenRefreshInterval = RoomServices.RefreshedTokenLifetime / 2;
    private static readonly TimeSpan ComesBackWithin = TimeSpan.FromSeconds(30);

    // When publishers went, by identity; for as long as one that comes back is one that reconnects.
    private readonly Dictionary<string, long> _publishersLeftAt = new(StringComparer.Ordinal);

    /// <summary>Lets a client in. Its first messages are queued on <paramref name="signal"/> before this returns.</summary>
    public (JoinOutcome Outcome, Participant? Participant) Join(JoinTicket ticket, SignalConnection signal)
    {
        var token = ticket.Token.Token;
        _participants.TryGetValue(token.Identity, out var present);
        if (ticket.Request.Reconnect)
        {
            return Resume(ticket, present, signal);
        }

        var participant = Admit(ticket, token);
        if (_info.MaxParticipants > 0
            && !participant.IsDependent
            && _participants.Values.Count(p => p != present && !p.IsDependent) >= _info.MaxParticipants)
        {
            return (JoinOutcome.Full, null);
        }

        try
        {
            participant.Peer = _services.Transport.CreatePeer(new PeerEvents(this, participant));
        }
        catch (TransportException e)
        {
            LogNoMedia(_log, e, Name, participant.Identity);
            return (JoinOutcome.NoMedia, null);
        }

        if (present is not null)
        {
            Remove(present, DisconnectReason.DuplicateIdentity, LeaveRequest.Types.Action.Disconnect);
        }

        _participants.Add(participant.Identity, participant);
        _wasJoined = true;
        _infoChanged = true;
        participant.Signal = signal;
        signal.Send(new SignalResponse { Join = Welcome(participant) });
        RefreshToken(participant);
        participant.State = ParticipantInfo.Types.State.Joined;
        Changed(participant);
        FlushChanges();

        foreach (var announced in ticket.Request.AddTrackRequests)
        {
            AddTrack(participant, announced);
        }

        foreach (var publisher in _participants.Values)
        {
            SubscribeToAll(participant, publisher);
        }

        if (ticket.Request.PublisherOffer is { Sdp.Length: > 0 } offer)
        {
            Negotiate(participant, offer);
        }

        if (participant.State is not ParticipantInfo.Types.State.Disconnected)
        {
            _services.Agents.ParticipantJoined(_info.Clone(), participant.ToInfo());
        }

        return (JoinOutcome.Joined, participant);
    }

    /// <summary>The socket of a participant ended, by whichever side.</summary>
    public void SignalEnded(Participant participant, SignalConnection signal)
    {
        if (participant.Signal == signal)
        {
            participant.Signal = null;
            participant.SignalLostAt = _clock.GetTimestamp();
        }
    }

    private Participant Admit(JoinTicket ticket, AccessToken token)
    {
        var request = ticket.Request;
        var grant = token.Video ?? new VideoGrant();
        var kind = Names.KindOf(token.Kind);
        var participant = new Participant
        {
            Sid = Rooms.Sid.Participant(),
            Identity = token.Identity,
            ApiKeyId = ticket.Token.ApiKeyId,
            Kind = kind is ParticipantInfo.Types.Kind.Standard && grant.Agent ? ParticipantInfo.Types.Kind.Agent : kind,
            Client = request.ClientInfo ?? new ClientInfo(),
            JoinedAt = _clock.GetUtcNow(),
            Permission = grant.ToPermission(),
            Name = token.Name ?? "",
            Metadata = token.Metadata ?? "",
            AutoSubscribe = request.ConnectionSettings?.AutoSubscribe ?? true,
            MediaLostAt = _clock.GetTimestamp(),
        };
        participant.SetAttributes(token.Attributes ?? new Dictionary<string, string>(StringComparer.Ordinal));
        if (participant.Permission.CanUpdateMetadata && Sizes.Refuse(null, request.Metadata, request.ParticipantAttributes, participant.Attributes) is null)
        {
            participant.Metadata = request.Metadata.Length > 0 ? request.Metadata : participant.Metadata;
            participant.SetAttributes(request.ParticipantAttributes);
        }

        return participant;
    }

    private JoinResponse Welcome(Participant participant)
    {
        var welcome = new JoinResponse
        {
            Room = ToInfo(),
            Participant = participant.ToInfo(),
            ServerVersion = _services.Server.Version,
            ServerInfo = _services.Server,
            PingInterval = PingIntervalSeconds,
            PingTimeout = PingTimeoutSeconds,
            FastPublish = !ComesBack(participant.Identity),
        };
        welcome.OtherParticipants.Add(Others(participant));
        welcome.EnabledPublishCodecs.Add(_info.EnabledCodecs);
        return welcome;
    }

    /// <summary>
    /// LiveKit's native client, when it joins anew, takes its tracks back and publishes them again in one breath. With fast publish it offers twice
    /// then, and on a busy machine waits for ever for itself in between; without it waits 150 ms and offers once.
    /// </summary>
    private bool ComesBack(string identity) => _publishersLeftAt.TryGetValue(identity, out var left) && _clock.GetElapsedTime(left) < ComesBackWithin;

    private IEnumerable<ParticipantInfo> Others(Participant participant) =>
        _participants.Values.Where(other => other != participant && !other.IsHidden).Select(other => other.ToInfo());

    private (JoinOutcome Outcome, Participant? Participant) Resume(JoinTicket ticket, Participant? present, SignalConnection signal)
    {
        var claimed = ticket.Request.ParticipantSid;
        if (present is null || present.IsLocal || (claimed.Length > 0 && claimed != present.Sid) || present.Peer.State is PeerState.Failed or PeerState.Closed)
        {
            SendLeave(signal, DisconnectReason.StateMismatch, LeaveRequest.Types.Action.Reconnect);
            signal.Close();
            return (JoinOutcome.NothingToResume, null);
        }

        var fault = present.NextResume;
        present.NextResume = ResumeFault.None;
        present.Signal?.Close();
        present.Signal = signal;
        if (fault is ResumeFault.CloseAtOnce)
        {
            signal.Close();
            return (JoinOutcome.Resumed, present);
        }

        signal.Send(new SignalResponse
        {
            Reconnect = new ReconnectResponse { ServerInfo = _services.Server, LastMessageSeq = present.Sent.Last },
        });
        if (fault is ResumeFault.CloseAfterAnswer)
        {
            signal.Close();
            return (JoinOutcome.Resumed, present);
        }

        // What the client missed cannot be known: it gets the present state of everybody.
        FlushChanges();
        present.Version++;
        var state = new ParticipantUpdate { Participants = { Others(present) } };
        state.Participants.Add(present.ToInfo());
        signal.Send(new SignalResponse { Update = state });
        signal.Send(new SignalResponse { RoomUpdate = new RoomUpdate { Room = ToInfo() } });
        RefreshToken(present);
        present.OfferRequested = false;
        if (ticket.Request.SyncState is { } sync)
        {
            SyncState(present, sync);
        }

        if (ticket.Request.PublisherOffer is { Sdp.Length: > 0 } offer)
        {
            Negotiate(present, offer);
        }

        return (JoinOutcome.Resumed, present);
    }

    private void RefreshToken(Participant participant)
    {
        participant.TokenSentAt = _clock.GetTimestamp();
        participant.Send(new SignalResponse { RefreshToken = _services.RefreshToken(participant, Name) });
    }

    private void MediaStateChanged(Participant participant)
    {
        var state = participant.Peer.State;
        if (state == participant.LastMediaState || participant.State is ParticipantInfo.Types.State.Disconnected)
        {
            return;
        }

        participant.LastMediaState = state;
        participant.MediaLostAt = state is PeerState.Connected ? null : participant.MediaLostAt ?? _clock.GetTimestamp();
        switch (state)
        {
            case PeerState.Connected when !participant.WasActive:
                participant.WasActive = true;
                participant.State = ParticipantInfo.Types.State.Active;
                Changed(participant);
                FlushChanges();
                Announce("participant_joined", webhook => webhook.Participant = participant.ToInfo());
                break;
            case PeerState.Failed:
                Remove(participant, DisconnectReason.MediaFailure, LeaveRequest.Types.Action.Reconnect);
                break;
            default:
                break;
        }
    }

    /// <summary>Looks after a participant on every tick: its timeouts, its token, what waits to be sent.</summary>
    private void CheckAlive(Participant participant)
    {
        // Also notices a change whose report found the mailbox full.
        MediaStateChanged(participant);
        if (participant.State is ParticipantInfo.Types.State.Disconnected)
        {
            return;
        }

        var options = _services.Options;
        if (participant.LostReliableData)
        {
            Remove(participant, DisconnectReason.StateMismatch, LeaveRequest.Types.Action.Reconnect);
        }
        else if (participant.MediaLostAt is { } lost && _clock.GetElapsedTime(lost) > (participant.WasActive ? options.ReconnectGrace : options.JoinTimeout))
        {
            var reason = participant.WasActive ? DisconnectReason.ConnectionTimeout : DisconnectReason.JoinFailure;
            Remove(participant, reason, LeaveRequest.Types.Action.Reconnect);
        }
        else if (participant.Signal is null
            && !participant.IsLocal
            && _clock.GetElapsedTime(participant.SignalLostAt) > (participant.MediaLostAt is null ? options.SignalGrace : options.ReconnectGrace))
        {
            Remove(participant, DisconnectReason.SignalClose, LeaveRequest.Types.Action.Disconnect);
        }
        else
        {
            // Also when the report that it opened found the mailbox full.
            participant.Outbox.IsOpen |= participant.Peer.IsReliableOpen;
            participant.Outbox.Flush(participant.Peer);
            if (participant.Signal is not null && _clock.GetElapsedTime(participant.TokenSentAt) > TokenRefreshInterval)
            {
                RefreshToken(participant);
            }
        }
    }

    /// <summary>Ends a participant: its tracks, its subscriptions, its connections; everybody is told.</summary>
    private void Remove(Participant participant, DisconnectReason reason, LeaveRequest.Types.Action action)
    {
        if (!_participants.TryGetValue(participant.Identity, out var present) || present != participant)
        {
            return;
        }

        foreach (var track in participant.Tracks.ToList())
        {
            Unpublish(participant, track, tellPublisher: false);
        }

        participant.Pending.Clear();
        NoteDeparture(participant);
        _participants.Remove(participant.Identity);
        _changed.Remove(participant);
        participant.Subscriptions.Clear();
        participant.State = ParticipantInfo.Types.State.Disconnected;
        participant.DisconnectReason = reason;
        participant.Version++;
        Announce(participant.WasActive ? "participant_left" : "participant_connection_aborted", webhook => webhook.Participant = participant.ToInfo());
        if (participant.Signal is { } signal)
        {
            SendLeave(signal, reason, action);
            signal.Close();
            participant.Signal = null;
        }

        if (!participant.IsHidden)
        {
            Broadcast(new SignalResponse { Update = new ParticipantUpdate { Participants = { participant.ToInfo() } } });
            TellLocals();
        }

        _infoChanged = true;
        _emptySince = _clock.GetTimestamp();
        _endings.Add(participant.Peer.DisposeAsync().AsTask());
        _services.Agents.ParticipantLeft(Sid, participant.Identity, reason);
    }

    private void NoteDeparture(Participant participant)
    {
        if (participant.HasPublished)
        {
            foreach (var (identity, left) in _publishersLeftAt)
            {
                if (_clock.GetElapsedTime(left) >= ComesBackWithin)
                {
                    _publishersLeftAt.Remove(identity);
                }
            }

            _publishersLeftAt[participant.Identity] = _clock.GetTimestamp();
        }
    }

    private static void SendLeave(SignalConnection signal, DisconnectReason reason, LeaveRequest.Types.Action action) => signal.Send(new SignalResponse
    {
        Leave = new LeaveRequest
        {
            Reason = reason,
            Action = action,
            CanReconnect = action is not LeaveRequest.Types.Action.Disconnect,
        },
    });

    [LoggerMessage(Level = LogLevel.Warning, Message = "Room {Room}: {Identity} cannot join, there is no media connection for it")]
    private static partial void LogNoMedia(ILogger log, Exception exception, string room, string identity);
}
