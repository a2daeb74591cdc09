using VoicePlatform.MediaServer.Transport;

namespace VoicePlatform.MediaServer.Rooms;

/// <summary>
/// Reliable data on its way to one participant: what the data channel cannot take now (not open yet, or its buffer is full) waits
/// here in order. Bounded: before the channel opened the oldest is dropped and counted; after that, being full is a reason to end
/// the participant, because a gap in a reliable channel must not go unnoticed.
/// </summary>
internal sealed class Outbox
{
    /// <summary>Bytes kept for a participant that does not keep up.</summary>
    public const int Capacity = 4 * 1024 * 1024;

    private readonly Queue<byte[]> _waiting = new();
    private long _waitingBytes;

    /// <summary>The participant's reliable channel was opened.</summary>
    public bool IsOpen { get; set; }

    public long Dropped { get; private set; }

    public IReadOnlyCollection<byte[]> Waiting => _waiting;

    /// <summary>False when the participant is too far behind.</summary>
    public bool Send(IMediaPeer peer, byte[] message)
    {
        Flush(peer);
        if (_waiting.Count == 0 && IsOpen && peer.SendData(DataChannelKind.Reliable, message))
        {
            return true;
        }

        while (!IsOpen && _waitingBytes + Cost(message) > Capacity && _waiting.TryDequeue(out var oldest))
        {
            _waitingBytes -= Cost(oldest);
            Dropped++;
        }

        if (_waitingBytes + Cost(message) > Capacity)
        {
            return false;
        }

        _waiting.Enqueue(message);
        _waitingBytes += Cost(message);
        return true;
    }

    private static int Cost(byte[] message) => message.Length + Limits.MessageOverhead;

    /// <summary>Sends what waits, as far as the channel takes it.</summary>
    public void Flush(IMediaPeer peer)
    {
        while (IsOpen && _waiting.TryPeek(out var next) && peer.SendData(DataChannelKind.Reliable, next))
        {
            _waiting.Dequeue();
            _waitingBytes -= Cost(next);
        }
    }
}
