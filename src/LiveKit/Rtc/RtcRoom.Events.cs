using System.Diagnostics.CodeAnalysis;
using VoicePlatform.LiveKit.Rtc.Ffi;
using VoicePlatform.LiveKit.Rtc.Native;
using Case = VoicePlatform.LiveKit.Rtc.Ffi.RoomEvent.MessageOneofCase;
using ConnectionQuality = VoicePlatform.LiveKit.Protocol.ConnectionQuality;
using DisconnectReason = VoicePlatform.LiveKit.Protocol.DisconnectReason;

namespace VoicePlatform.LiveKit.Rtc;

/// <summary>What the library's events do to what we know of the room.</summary>
public sealed partial class RtcRoom
{
    private void HandleRoomEvent(Ffi.RoomEvent message)
    {
        switch (message.MessageCase)
        {
            case Case.ParticipantConnected or Case.ParticipantDisconnected or Case.ParticipantActive or Case.ParticipantsUpdated
                or Case.ParticipantMetadataChanged or Case.ParticipantNameChanged or Case.ParticipantAttributesChanged:
                HandleParticipant(message);
                break;
            case Case.TrackPublished or Case.TrackUnpublished or Case.TrackSubscribed or Case.TrackUnsubscribed
                or Case.TrackMuted or Case.TrackUnmuted or Case.TrackSubscriptionFailed or Case.LocalTrackSubscribed:
                HandleTrack(message);
                break;
            case Case.DataPacketReceived:
                HandleData(message.DataPacketReceived);
                break;
            case Case.TextStreamOpened:
                HandleText(message.TextStreamOpened);
                break;
            case Case.ByteStreamOpened:
                FfiEvents.DropHandles(message);
                break;
            default:
                HandleConnection(message);
                break;
        }
    }

    private void HandleConnection(Ffi.RoomEvent message)
    {
        switch (message.MessageCase)
        {
            case Case.RoomSidChanged:
                Sid = message.RoomSidChanged.Sid;
                break;
            case Case.RoomMetadataChanged:
                Metadata = message.RoomMetadataChanged.Metadata;
                Emit(new RoomEvent.RoomMetadataChanged(Metadata));
                break;
            case Case.RoomUpdated or Case.Moved:
                var info = message.RoomUpdated ?? message.Moved;
                (Name, Sid, Metadata) = (info.Name, info.HasSid ? info.Sid : Sid, info.Metadata);
                break;
            case Case.ActiveSpeakersChanged:
                Emit(new RoomEvent.ActiveSpeakersChanged([.. message.ActiveSpeakersChanged.ParticipantIdentities]));
                break;
            case Case.ConnectionQualityChanged:
                var quality = message.ConnectionQualityChanged;
                Emit(new RoomEvent.ConnectionQualityChanged(quality.ParticipantIdentity, (ConnectionQuality)(int)quality.Quality));
                break;
            case Case.ConnectionStateChanged:
                State = (RoomConnectionState)(int)message.ConnectionStateChanged.State;
                Emit(new RoomEvent.ConnectionStateChanged(State));
                break;
            case Case.Reconnecting:
                State = RoomConnectionState.Reconnecting;
                Emit(new RoomEvent.Reconnecting());
                break;
            case Case.Reconnected:
                State = RoomConnectionState.Connected;
                Emit(new RoomEvent.Reconnected());
                break;
            case Case.Disconnected:
                OnDisconnected((DisconnectReason)(int)message.Disconnected.Reason);
                break;
            case Case.Eos:
                _inbox.Writer.TryComplete();
                break;
        }
    }

    private void HandleParticipant(Ffi.RoomEvent message)
    {
        switch (message.MessageCase)
        {
            case Case.ParticipantConnected:
                var joined = new RemoteParticipant(message.ParticipantConnected.Info);
                // Who comes back takes his own place: at no time nobody is in it.
                var former = _participants.GetValueOrDefault(joined.Identity);
                _participants[joined.Identity] = joined;
                former?.Release();
                Emit(new RoomEvent.ParticipantConnected(joined));
                break;
            case Case.ParticipantDisconnected:
                if (_participants.TryRemove(message.ParticipantDisconnected.ParticipantIdentity, out var left))
                {
                    left.DisconnectReason = (DisconnectReason)(int)message.ParticipantDisconnected.DisconnectReason;
                    Emit(new RoomEvent.ParticipantDisconnected(left, left.DisconnectReason));
                    left.Release();
                }

                break;
            case Case.ParticipantsUpdated:
                foreach (var info in message.ParticipantsUpdated.Participants)
                {
                    if (TryFind(info.Identity, out var updated))
                    {
                        updated.Update(info);
                    }
                }

                break;
            case Case.ParticipantActive when TryFind(message.ParticipantActive.ParticipantIdentity, out var active):
                Emit(new RoomEvent.ParticipantActive(active));
                break;
            case Case.ParticipantMetadataChanged when TryFind(message.ParticipantMetadataChanged.ParticipantIdentity, out var described):
                described.Describe(message.ParticipantMetadataChanged.Metadata);
                Emit(new RoomEvent.ParticipantMetadataChanged(described, described.Metadata));
                break;
            case Case.ParticipantNameChanged when TryFind(message.ParticipantNameChanged.ParticipantIdentity, out var renamed):
                renamed.Rename(message.ParticipantNameChanged.Name);
                Emit(new RoomEvent.ParticipantNameChanged(renamed, renamed.Name));
                break;
            case Case.ParticipantAttributesChanged when TryFind(message.ParticipantAttributesChanged.ParticipantIdentity, out var changed):
                changed.SetAttributes(ToDictionary(message.ParticipantAttributesChanged.Attributes));
                Emit(new RoomEvent.AttributesChanged(changed, ToDictionary(message.ParticipantAttributesChanged.ChangedAttributes)));
                break;
        }
    }

    private void HandleTrack(Ffi.RoomEvent message)
    {
        switch (message.MessageCase)
        {
            case Case.TrackPublished:
                var publication = new RemoteTrackPublication(_client, message.TrackPublished.Publication);
                if (_participants.TryGetValue(message.TrackPublished.ParticipantIdentity, out var publisher))
                {
                    Emit(new RoomEvent.TrackPublished(publisher, publisher.Add(publication)));
                }
                else
                {
                    publication.Release();
                }

                break;
            case Case.TrackUnpublished when _participants.TryGetValue(message.TrackUnpublished.ParticipantIdentity, out var unpublisher):
                if (unpublisher.Remove(message.TrackUnpublished.PublicationSid) is { } gone)
                {
                    Emit(new RoomEvent.TrackUnpublished(unpublisher, gone));
                    gone.Release();
                }

                break;
            case Case.TrackSubscribed:
                OnSubscribed(message.TrackSubscribed);
                break;
            case Case.TrackUnsubscribed when _participants.TryGetValue(message.TrackUnsubscribed.ParticipantIdentity, out var source):
                var sid = message.TrackUnsubscribed.TrackSid;
                if (source.Publications.TryGetValue(sid, out var unsubscribed))
                {
                    unsubscribed.Track?.Release();
                    unsubscribed.Track = null;
                }

                Emit(new RoomEvent.TrackUnsubscribed(source, sid));
                break;
            case Case.TrackMuted:
                OnMuteChanged(message.TrackMuted.ParticipantIdentity, message.TrackMuted.TrackSid, muted: true);
                break;
            case Case.TrackUnmuted:
                OnMuteChanged(message.TrackUnmuted.ParticipantIdentity, message.TrackUnmuted.TrackSid, muted: false);
                break;
            case Case.TrackSubscriptionFailed:
                var failed = message.TrackSubscriptionFailed;
                Emit(new RoomEvent.TrackSubscriptionFailed(failed.ParticipantIdentity, failed.TrackSid, failed.Error));
                break;
            case Case.LocalTrackSubscribed:
                Emit(new RoomEvent.LocalTrackSubscribed(message.LocalTrackSubscribed.TrackSid));
                break;
        }
    }

    private void OnSubscribed(Ffi.TrackSubscribed message)
    {
        var track = new RemoteTrack(_client, message.Track);
        if (_participants.TryGetValue(message.ParticipantIdentity, out var participant)
            && participant.Publications.TryGetValue(track.Sid, out var publication))
        {
            publication.Track = track;
            Emit(new RoomEvent.TrackSubscribed(participant, publication, track));
        }
        else
        {
            track.Release();
        }
    }

    private void OnMuteChanged(string identity, string trackSid, bool muted)
    {
        if (TryFind(identity, out var participant))
        {
            if (participant is RemoteParticipant remote && remote.Publications.TryGetValue(trackSid, out var publication))
            {
                publication.Muted = muted;
            }

            Emit(new RoomEvent.TrackMuteChanged(participant, trackSid, muted));
        }
    }

    private unsafe void HandleData(DataPacketReceived packet)
    {
        if (packet.User is { } user)
        {
            var data = new ReadOnlySpan<byte>((void*)user.Data.Data.DataPtr, (int)user.Data.Data.DataLen).ToArray();
            NativeMethods.DropHandle(user.Data.Handle.Id);
            Emit(new RoomEvent.DataReceived(packet.ParticipantIdentity, data, user.Topic, packet.Kind == DataPacketKind.KindReliable));
        }
        else if (packet.SipDtmf is { } dtmf)
        {
            Emit(new RoomEvent.DtmfReceived(packet.ParticipantIdentity, dtmf.Code, dtmf.Digit));
        }
    }

    private bool TryFind(string identity, [NotNullWhen(true)] out Participant? participant)
    {
        participant = identity == LocalParticipant.Identity
            ? LocalParticipant
            : _participants.TryGetValue(identity, out var remote) ? remote : null;
        return participant is not null;
    }

    private static Dictionary<string, string> ToDictionary(IEnumerable<AttributesEntry> entries)
    {
        var attributes = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var entry in entries)
        {
            attributes[entry.Key] = entry.Value;
        }

        return attributes;
    }
}
