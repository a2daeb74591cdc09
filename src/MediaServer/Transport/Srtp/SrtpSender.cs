namespace VoicePlatform.MediaServer.Transport.Srtp;

/// <summary>The outgoing media of one peer: whoever has a packet for it encrypts and sends it under <see cref="Gate"/>.</summary>
internal sealed class SrtpSender(DatagramSender send) : IDisposable
{
    private SrtpSession? _session;
    private long _packets;
    private long _bytes;

    /// <summary>Protects the session and the state of every stream that is sent through it. Held for one packet.</summary>
    public Lock Gate { get; } = new();

    /// <summary>False until DTLS gave keys, and while the peer is not known to listen.</summary>
    public bool IsOpen { get; set; }

    public long Packets => Volatile.Read(ref _packets);

    public long Bytes => Volatile.Read(ref _bytes);

    public void Use(SrtpSession session)
    {
        lock (Gate)
        {
            _session?.Dispose();
            _session = session;
        }
    }

    /// <summary>Call with <see cref="Gate"/> held; the buffer has room for the trailer.</summary>
    public bool Send(Span<byte> buffer, int length)
    {
        var size = IsOpen && _session is not null ? _session.Protect(buffer, length) : 0;
        if (size == 0)
        {
            return false;
        }

        _packets++;
        _bytes += length;
        send(buffer[..size]);
        return true;
    }

    /// <inheritdoc cref="Send"/>
    public void SendRtcp(Span<byte> buffer, int length)
    {
        var size = IsOpen && _session is not null ? _session.ProtectRtcp(buffer, length) : 0;
        if (size > 0)
        {
            send(buffer[..size]);
        }
    }

    /// <summary>Releases what a stream cost. Call with <see cref="Gate"/> held.</summary>
    public void Forget(uint ssrc) => _session?.Remove(ssrc);

    public void Dispose()
    {
        lock (Gate)
        {
            IsOpen = false;
            _session?.Dispose();
            _session = null;
        }
    }
}
