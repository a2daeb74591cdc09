using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Transport;

namespace VoicePlatform.MediaServer.Rooms;

/// <summary>Who hears which track.</summary>
internal sealed partial class Room
{
    // A client that is asked again and again while it is still building an offer gains nothing.
    private static readonly TimeSpan OfferRequestInterval = TimeSpan.FromMilliseconds(150);
    private static readonly TimeSpan OfferPatience = TimeSpan.FromSeconds(3);

    private static bool Allows(Participant publisher, Participant subscriber, string trackSid) =>
        publisher.Audience.AllParticipants
        || publisher.Audience.TrackPermissions.Any(permission =>
            (permission.ParticipantSid == subscriber.Sid || (permission.ParticipantIdentity.Length > 0 && permission.ParticipantIdentity == subscriber.Identity))
            && (permission.AllTracks || permission.TrackSids.Contains(trackSid)));

    private static bool Wants(Participant subscriber, string trackSid) =>
        subscriber.SubscriptionChoices.TryGetValue(trackSid, out var chosen) ? chosen : subscriber.AutoSubscribe;

    /// <summary>Subscribes to every track of a publisher that the subscriber wants and may hear.</summary>
    private static void SubscribeToAll(Participant subscriber, Participant publisher)
    {
        if (publisher == subscriber)
        {
            return;
        }

        foreach (var track in publisher.Tracks)
        {
            Revise(subscriber, track);
        }
    }

    /// <summary>Brings one subscription to what it should be.</summary>
    private static void Revise(Participant subscriber, PublishedTrack track)
    {
        var publisher = track.Publisher;
        var wanted = subscriber.Permission.CanSubscribe && Wants(subscriber, track.Sid);
        var allowed = Allows(publisher, subscriber, track.Sid);
        var present = subscriber.Subscriptions.ContainsKey(track.Sid);
        if (wanted && allowed && !present && track.Audio is { } audio)
        {
            subscriber.Send(PermissionUpdate(track, allowed: true));

            // Clients find participant and track in the stream id, parted by a bar.
            var forwarding = subscriber.Peer.Subscribe(audio, $"{publisher.Sid}|{track.Sid}", track.Sid);
            forwarding.Paused = subscriber.DisabledTracks.Contains(track.Sid);
            subscriber.Subscriptions.Add(track.Sid, new TrackSubscription(track, forwarding));
            if (subscriber.IsLocal)
            {
                // Nothing to negotiate: it is heard at once.
                AnnounceSubscribed(track);
            }
        }
        else if (present && !(wanted && allowed))
        {
            Unsubscribe(subscriber, track.Sid);
            if (!allowed || !subscriber.Permission.CanSubscribe)
            {
                subscriber.Send(PermissionUpdate(track, allowed: false));
            }
        }
        else if (wanted && !allowed && !present)
        {
            subscriber.Send(PermissionUpdate(track, allowed: false));
        }
    }

    private static SignalResponse PermissionUpdate(PublishedTrack track, bool allowed) => new()
    {
        SubscriptionPermissionUpdate = new SubscriptionPermissionUpdate
        {
            ParticipantSid = track.Publisher.Sid,
            TrackSid = track.Sid,
            Allowed = allowed,
        },
    };

    private static void Unsubscribe(Participant subscriber, string trackSid)
    {
        if (subscriber.Subscriptions.Remove(trackSid, out var subscription))
        {
            subscriber.Peer.Unsubscribe(subscription.Forwarding);
        }
    }

    private static void Disable(Participant subscriber, IEnumerable<string> trackSids, bool disabled)
    {
        foreach (var sid in trackSids)
        {
            if (disabled && subscriber.DisabledTracks.Count < Limits.RoomMailbox)
            {
                subscriber.DisabledTracks.Add(sid);
            }
            else
            {
                subscriber.DisabledTracks.Remove(sid);
            }

            if (subscriber.Subscriptions.TryGetValue(sid, out var subscription))
            {
                subscription.Forwarding.Paused = disabled;
            }
        }
    }

    private void UpdateSubscriptions(Participant subscriber, UpdateSubscription update) =>
        UpdateSubscriptions(subscriber, update.TrackSids.Concat(update.ParticipantTracks.SelectMany(tracks => tracks.TrackSids)), update.Subscribe);

    private void UpdateSubscriptions(Participant subscriber, IEnumerable<string> trackSids, bool subscribe)
    {
        foreach (var sid in trackSids)
        {
            if (_participants.Values.SelectMany(p => p.Tracks).FirstOrDefault(track => track.Sid == sid) is not { } track)
            {
                if (subscribe)
                {
                    subscriber.Send(new SignalResponse
                    {
                        SubscriptionResponse = new SubscriptionResponse { TrackSid = sid, Err = SubscriptionError.SeTrackNotfound },
                    });
                }

                continue;
            }

            subscriber.SubscriptionChoices[sid] = subscribe;
            if (track.Publisher != subscriber)
            {
                Revise(subscriber, track);
            }
        }
    }

    private void ReviseAudience(Participant publisher)
    {
        foreach (var subscriber in _participants.Values.Where(p => p != publisher))
        {
            SubscribeToAll(subscriber, publisher);
        }
    }

    /// <summary>Tells publishers that their track has reached its first subscriber.</summary>
    private static void AnnounceSubscribed(Participant subscriber, Negotiated negotiated)
    {
        foreach (var sid in negotiated.MidToTrackId.Values)
        {
            if (subscriber.Subscriptions.TryGetValue(sid, out var subscription))
            {
                AnnounceSubscribed(subscription.Track);
            }
        }
    }

    private static void AnnounceSubscribed(PublishedTrack track)
    {
        if (!track.AnnouncedSubscribed)
        {
            track.AnnouncedSubscribed = true;
            track.Publisher.Send(new SignalResponse { TrackSubscribed = new TrackSubscribed { TrackSid = track.Sid } });
        }
    }

    /// <summary>
    /// Only clients offer. Where a connection should change, the client is told how many more audio sections are needed (0: as it is)
    /// and offers again.
    /// </summary>
    private void RequestOffers()
    {
        foreach (var participant in _participants.Values)
        {
            if (participant.Signal is null || !participant.Peer.NeedsNegotiation)
            {
                continue;
            }

            var since = _clock.GetElapsedTime(participant.OfferRequestedAt);
            if (since < (participant.OfferRequested ? OfferPatience : OfferRequestInterval))
            {
                continue;
            }

            participant.OfferRequested = true;
            participant.OfferRequestedAt = _clock.GetTimestamp();
            participant.Send(new SignalResponse
            {
                MediaSectionsRequirement = new MediaSectionsRequirement { NumAudios = (uint)participant.Peer.MissingAudioSections },
            });
        }
    }
}
