using System.Net;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>A way to one peer: a TCP or TLS connection, or the UDP port and the peer's address.</summary>
internal abstract class Flow
{
    public abstract SipTransport Transport { get; }

    public abstract IPEndPoint Remote { get; }

    /// <summary>Whether the transport delivers or fails, so that nothing is sent twice.</summary>
    public bool IsReliable => Transport != SipTransport.Udp;

    public virtual bool IsOpen => true;

    /// <summary>Whether the peer opened it; it may be the only way back through the peer's NAT.</summary>
    public virtual bool IsInbound => false;

    /// <summary>Cancelled when the connection is gone; never for UDP.</summary>
    public virtual CancellationToken Closed => CancellationToken.None;

    /// <summary>Never blocks. False: it is certain that this goes nowhere.</summary>
    public abstract bool TrySend(ReadOnlyMemory<byte> message);

    /// <summary>Keeps a connection from being closed as idle until <see cref="Release"/>.</summary>
    public virtual void Hold()
    {
    }

    public virtual void Release()
    {
    }
}

/// <summary>Receives what the transports read.</summary>
internal interface IMessageSink
{
    /// <summary>One datagram or framed message; on the transport's thread.</summary>
    void OnMessage(ReadOnlySpan<byte> bytes, Flow flow);
}

/// <summary>Nobody can be reached there. The message is one sentence.</summary>
internal sealed class UnreachableException(UnreachableKind kind, string message, Exception? inner = null) : Exception(message, inner)
{
    public UnreachableKind Kind => kind;
}
