using VoicePlatform.MediaServer.Transport;

namespace VoicePlatform.MediaServer.Rooms;

/// <summary>Carries a participant's transport events from the transport's threads to the room's loop, without waiting.</summary>
internal sealed class PeerEvents(Room room, Participant participant) : IPeerObserver
{
    // If the mailbox is full, the room notices the state on its next tick.
    public void OnStateChanged(PeerState state) => room.TryPost(() => room.OnMediaState(participant));

    public void OnData(DataChannelKind channel, ReadOnlySpan<byte> message)
    {
        var copy = message.ToArray();
        if (!room.TryPost(() => room.OnData(participant, channel, copy)))
        {
            room.CountDropped();
            participant.LostReliableData |= channel is DataChannelKind.Reliable;
        }
    }

    public void OnDataChannelOpen(DataChannelKind channel)
    {
        if (channel is DataChannelKind.Reliable)
        {
            room.TryPost(() => Room.OnReliableOpen(participant));
        }
    }

    public void OnAudioStarted(InboundAudio audio)
    {
        // A track counts as published when it is negotiated; nothing waits for its first packet.
    }
}
