using System.Runtime.InteropServices;

namespace VoicePlatform.MediaServer.Transport.Sctp;

/// <summary>
/// Decrypted SCTP packets on their way from the receive thread to the data thread, so that messages and what the rooms do with them
/// never hold up audio. Buffers are made once. When full, packets are dropped and counted: to SCTP that is loss, which it repairs.
/// </summary>
internal sealed class SctpInbox : IDisposable
{
    public const int Capacity = 2_048;

    private const int MaxPacket = 2_048;

    private readonly Lock _gate = new();
    private readonly AutoResetEvent _filled = new(initialState: false);
    private readonly Slot[] _slots = new Slot[Capacity];
    private int _first;
    private int _count;

    public long Dropped { get; private set; }

    /// <summary>Receive thread.</summary>
    public void Add(PeerConnection peer, ReadOnlySpan<byte> packet)
    {
        lock (_gate)
        {
            if (_count == Capacity || packet.Length > MaxPacket)
            {
                Dropped++;
                return;
            }

            ref var slot = ref _slots[(_first + _count) % Capacity];
            slot.Buffer ??= GC.AllocateUninitializedArray<byte>(MaxPacket);     // grows to what was ever needed at once
            packet.CopyTo(slot.Buffer);
            (slot.Peer, slot.Length) = (peer, packet.Length);
            _count++;
        }

        _filled.Set();
    }

    /// <summary>Data thread: copies the oldest packet out; null when there is none.</summary>
    public PeerConnection? Take(Span<byte> packet, out int length)
    {
        lock (_gate)
        {
            length = 0;
            if (_count == 0)
            {
                return null;
            }

            ref var slot = ref _slots[_first];
            length = slot.Length;
            slot.Buffer.AsSpan(0, length).CopyTo(packet);
            var peer = slot.Peer;
            slot.Peer = null;
            (_first, _count) = ((_first + 1) % Capacity, _count - 1);
            return peer;
        }
    }

    /// <summary>Data thread: waits for a packet, no longer than the timeout.</summary>
    public void Wait(int timeoutMs) => _filled.WaitOne(timeoutMs);

    public void Dispose() => _filled.Dispose();

    [StructLayout(LayoutKind.Auto)]
    private struct Slot
    {
        public PeerConnection? Peer;
        public byte[]? Buffer;
        public int Length;
    }
}
