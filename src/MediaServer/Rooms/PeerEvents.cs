using VoicePlatform.MediaServer.Transport;

namespace VoicePlatform.MediaServer.Rooms;

/// <summary>
/// Carries a participant's transport events from the transport's threads to the room's loop, without waiting. Of each participant's
/// data only so much is on its way at a time, so that nobody fills the room's mailbox alone; the rest waits at the sender.
/// </summary>
internal sealed class PeerEvents(Room room, Participant participant) : IPeerObserver
{
    private int _messages;
    private long _bytes;

    public bool IsReady =>
        Volatile.Read(ref _messages) < Limits.DataMessagesUnderway && Interlocked.Read(ref _bytes) < Limits.DataBytesUnderway;

    // If the mailbox is full, the room notices the state on its next tick.
    public void OnStateChanged(PeerState state) => room.TryPost(() => room.OnMediaState(participant));

    public void OnData(DataChannelKind channel, ReadOnlySpan<byte> message)
    {
        var copy = message.ToArray();
        Count(1, copy.Length);
        if (!room.TryPost(() => Hand(channel, copy)))
        {
            Count(-1, -copy.Length);
            room.CountDropped();
            participant.LostReliableData |= channel is DataChannelKind.Reliable;
        }
    }

    public void OnDataChannelOpen(DataChannelKind channel)
    {
        // If the mailbox is full, the room notices on its next tick.
        if (channel is DataChannelKind.Reliable)
        {
            room.TryPost(() => Room.OnReliableOpen(participant));
        }
    }

    public void OnAudioStarted(InboundAudio audio)
    {
        // A track counts as published when it is negotiated; nothing waits for its first packet.
    }

    private void Hand(DataChannelKind channel, byte[] message)
    {
        try
        {
            room.OnData(participant, channel, message);
        }
        finally
        {
            Count(-1, -message.Length);
        }
    }

    private void Count(int messages, int bytes)
    {
        Interlocked.Add(ref _messages, messages);
        Interlocked.Add(ref _bytes, bytes);
    }
}
