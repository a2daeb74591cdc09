using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Transport;
using Reason = VoicePlatform.LiveKit.Protocol.RequestResponse.Types.Reason;

namespace VoicePlatform.MediaServer.Rooms;

/// <summary>Publishing: from the announcement over the offer to the end of a track.</summary>
internal sealed partial class Room
{
    private static PublishedTrack? FindTrack(Participant participant, string sid) =>
        participant.Tracks.Find(track => track.Sid == sid) ?? participant.Pending.Find(track => track.Sid == sid);

    private static bool MayPublish(ParticipantPermission permission, TrackSource source) =>
        permission.CanPublish && (permission.CanPublishSources.Count == 0 || permission.CanPublishSources.Contains(source));

    private static void AddTrack(Participant participant, AddTrackRequest request)
    {
        var known = participant.Pending.Concat(participant.Tracks).FirstOrDefault(track => track.Cid == request.Cid);
        if (known is null && RefuseTrack(participant, request) is { } refusal)
        {
            refusal.AddTrack = request;
            participant.Send(new SignalResponse { RequestResponse = refusal });
            return;
        }

        if (known is null)
        {
            known = new PublishedTrack(participant, request.Cid, Describe(request));
            participant.Pending.Add(known);
        }

        participant.Send(new SignalResponse { TrackPublished = new TrackPublishedResponse { Cid = request.Cid, Track = known.Info.Clone() } });
    }

    private static RequestResponse? RefuseTrack(Participant participant, AddTrackRequest request)
    {
        if (request.Type is not TrackType.Audio)
        {
            return new RequestResponse { Reason = Reason.UnsupportedType, Message = "this server forwards audio only, no video" };
        }

        if (!MayPublish(participant.Permission, request.Source))
        {
            return new RequestResponse { Reason = Reason.NotAllowed, Message = "does not have permission to publish this source" };
        }

        if (request.Cid.Length == 0 || Sizes.Refuse(request.Name, null, null) is not null)
        {
            return new RequestResponse { Reason = Reason.InvalidRequest, Message = $"cid is required and name has at most {Limits.NameLength} characters" };
        }

        return participant.Pending.Count + participant.Tracks.Count >= Limits.TracksPerParticipant
            ? new RequestResponse { Reason = Reason.LimitExceeded, Message = $"a participant may publish {Limits.TracksPerParticipant} tracks" }
            : null;
    }

    private static TrackInfo Describe(AddTrackRequest request)
    {
        var info = new TrackInfo
        {
            Sid = Rooms.Sid.Track(request.Source),
            Type = TrackType.Audio,
            Name = request.Name,
            Muted = request.Muted,
            Source = request.Source,
            DisableDtx = request.DisableDtx,
            DisableRed = request.DisableRed,
            Stereo = request.Stereo,
            Encryption = request.Encryption,
            BackupCodecPolicy = request.BackupCodecPolicy,
            Stream = request.Stream.Length > 0
                ? request.Stream
                : request.Source is TrackSource.ScreenShare or TrackSource.ScreenShareAudio ? "screen_share" : "camera",
            Codecs = { new SimulcastCodecInfo { Cid = request.Cid, VideoLayerMode = VideoLayer.Types.Mode.OneSpatialLayerPerStream } },
        };
        info.AudioFeatures.Add(request.AudioFeatures);
        return info;
    }

    private void Negotiate(Participant participant, SessionDescription offer)
    {
        if (participant.Peer is not PeerConnection connection)
        {
            return;
        }

        participant.OfferRequested = false;
        Negotiated negotiated;
        try
        {
            negotiated = connection.Negotiate(offer.Sdp, ChoicesOf(participant));
        }
        catch (SdpException e)
        {
            LogBadOffer(_log, e, Name, participant.Identity);
            var action = participant.WasActive ? LeaveRequest.Types.Action.Reconnect : LeaveRequest.Types.Action.Disconnect;
            Remove(participant, participant.WasActive ? DisconnectReason.StateMismatch : DisconnectReason.JoinFailure, action);
            return;
        }

        foreach (var section in negotiated.Sending)
        {
            if (section.Audio is { } audio)
            {
                Publish(participant, section, audio);
            }
        }

        foreach (var gone in participant.Tracks.Where(track => negotiated.Sending.All(section => section.Mid != track.Info.Mid)).ToList())
        {
            Unpublish(participant, gone, tellPublisher: false);
        }

        // A client must know a track before its answer names it.
        FlushChanges();
        var answer = new SessionDescription { Type = "answer", Sdp = negotiated.AnswerSdp, Id = offer.Id };
        answer.MidToTrackId.Add(new Dictionary<string, string>(negotiated.MidToTrackId, StringComparer.Ordinal));
        participant.Send(new SignalResponse { Answer = answer });
        AnnounceSubscribed(participant, negotiated);
    }

    private static PublishingChoices ChoicesOf(Participant participant)
    {
        return new PublishingChoices(CidsWhere(track => track.Info.DisableRed), CidsWhere(track => track.Info.DisableDtx));

        HashSet<string> CidsWhere(Func<PublishedTrack, bool> such) =>
            participant.Pending.Concat(participant.Tracks).Where(such).Select(track => track.Cid).ToHashSet(StringComparer.Ordinal);
    }

    private void Publish(Participant participant, OfferedSection section, InboundAudio audio)
    {
        if (participant.Tracks.Find(track => track.Info.Mid == section.Mid) is { } present)
        {
            if (present.Cid == section.TrackId || participant.Pending.TrueForAll(pending => pending.Cid != section.TrackId))
            {
                present.Audio = audio;
                return;
            }

            // One offer ended a track and put a new one into its section.
            Unpublish(participant, present, tellPublisher: false);
        }

        // Some clients put another id into the SDP than they announced: a single announced track is meant then.
        var track = participant.Pending.Find(pending => pending.Cid == section.TrackId)
            ?? (participant.Pending.Count == 1 ? participant.Pending[0] : null);
        if (track is null)
        {
            return;
        }

        participant.Pending.Remove(track);
        participant.Tracks.Add(track);
        participant.HasPublished = true;
        track.Audio = audio;
        audio.Muted = track.Info.Muted;
        audio.Enabled = true;
        track.Info.Mid = section.Mid;
        track.Info.MimeType = audio.Mime;
        track.Info.Codecs[0].Mid = section.Mid;
        track.Info.Codecs[0].MimeType = audio.Mime;
        track.Info.Version = new TimedVersion { UnixMicro = NowMilliseconds() * 1000 };
        _infoChanged = true;
        Changed(participant);
        FlushChanges();
        AnnounceTrack("track_published", participant, track);
        _services.Agents.ParticipantPublished(_info.Clone(), participant.ToInfo());
        foreach (var subscriber in _participants.Values)
        {
            SubscribeToAll(subscriber, participant);
        }
    }

    private void Unpublish(Participant participant, PublishedTrack track, bool tellPublisher)
    {
        if (participant.Pending.Remove(track))
        {
            // Nobody knows of it but the publisher.
            Tell();
            return;
        }

        if (!participant.Tracks.Remove(track))
        {
            return;
        }

        if (track.Audio is { } audio)
        {
            audio.Enabled = false;
        }

        foreach (var subscriber in _participants.Values)
        {
            Unsubscribe(subscriber, track.Sid);
            subscriber.SubscriptionChoices.Remove(track.Sid);
            subscriber.DisabledTracks.Remove(track.Sid);
        }

        _infoChanged = true;
        Changed(participant);
        AnnounceTrack("track_unpublished", participant, track);
        Tell();

        void Tell()
        {
            if (tellPublisher)
            {
                participant.Send(new SignalResponse { TrackUnpublished = new TrackUnpublishedResponse { TrackSid = track.Sid } });
            }
        }
    }

    private void Mute(Participant participant, string sid, bool muted)
    {
        if (FindTrack(participant, sid) is not { } track || track.Info.Muted == muted)
        {
            return;
        }

        track.Info.Muted = muted;
        if (track.Audio is { } audio)
        {
            audio.Muted = muted;
            Changed(participant);
        }
    }

    /// <summary>Track webhooks name room and participant by their ids only, as LiveKit's do.</summary>
    private void AnnounceTrack(string name, Participant participant, PublishedTrack track) => Announce(name, webhook =>
    {
        webhook.Room = new LiveKit.Protocol.Room { Sid = Sid, Name = Name };
        webhook.Participant = new ParticipantInfo { Sid = participant.Sid, Identity = participant.Identity };
        webhook.Track = track.Info.Clone();
    });

    [LoggerMessage(Level = LogLevel.Warning, Message = "Room {Room}: the offer of {Identity} cannot be understood")]
    private static partial void LogBadOffer(ILogger log, Exception exception, string room, string identity);
}
