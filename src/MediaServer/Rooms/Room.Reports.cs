using VoicePlatform.LiveKit.Protocol;

namespace VoicePlatform.MediaServer.Rooms;

/// <summary>What the room tells by the clock: who speaks, and how good the connections are.</summary>
internal sealed partial class Room
{
    private void TellSpeakers()
    {
        var changes = new SpeakersChanged();
        foreach (var participant in _participants.Values)
        {
            var level = 0.0;
            foreach (var track in participant.Tracks)
            {
                if (track.Audio is { } audio && !track.Info.Muted)
                {
                    level = Math.Max(level, audio.ReadLevel());
                }
            }

            var speaking = participant.Speaking;
            var tell = speaking.Update(level);
            if (tell != speaking.Told)
            {
                speaking.Told = tell;
                changes.Speakers.Add(new SpeakerInfo { Sid = participant.Sid, Level = tell, Active = tell > 0 });
            }
        }

        if (changes.Speakers.Count > 0)
        {
            Broadcast(new SignalResponse { SpeakersChanged = changes });
        }
    }

    /// <summary>Everybody is told of the own connection and of those it hears.</summary>
    private void TellQuality()
    {
        foreach (var participant in _participants.Values)
        {
            participant.Quality.Update(participant.LastMediaState, participant.Peer.Stats);
        }

        foreach (var participant in _participants.Values.Where(p => p.Signal is not null))
        {
            var update = new ConnectionQualityUpdate { Updates = { Rate(participant) } };
            update.Updates.Add(participant.Subscriptions.Values.Select(s => s.Track.Publisher).Distinct().Select(Rate));
            participant.Send(new SignalResponse { ConnectionQuality = update });
        }
    }

    private static ConnectionQualityInfo Rate(Participant participant) => new()
    {
        ParticipantSid = participant.Sid,
        Quality = participant.Quality.Quality,
        Score = participant.Quality.Score,
    };
}
