using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>The UDP socket and its one receiving thread.</summary>
internal sealed partial class UdpPort(Socket socket, IMessageSink sink, UserAgentCounters counters, ILogger log) : IDisposable
{
    private const int MaxDatagram = 65_535;
    private const int JoinMs = 100;
    private const int PauseMs = 10;

    private readonly ManualResetEventSlim _stopping = new();
    private Thread? _receiver;

    public IPEndPoint Local { get; } = (IPEndPoint)socket.LocalEndPoint!;

    public void Start()
    {
        _receiver = new Thread(Receive) { IsBackground = true, Name = "sip receive" };
        _receiver.Start();
    }

    public Flow To(IPEndPoint remote) => new UdpFlow(this, remote);

    public void Dispose()
    {
        if (_stopping.IsSet)
        {
            return;
        }

        _stopping.Set();
        if (_receiver is not null)
        {
            // The thread sits in a blocking call: a datagram to ourselves ends it. One may get lost in a full buffer.
            do
            {
                Knock();
            }
            while (!_receiver.Join(JoinMs));
        }

        socket.Dispose();
        _stopping.Dispose();
    }

    private void Receive()
    {
        var buffer = GC.AllocateUninitializedArray<byte>(MaxDatagram, pinned: true);
        var from = new SocketAddress(Local.AddressFamily);
        var template = new IPEndPoint(Local.AddressFamily == AddressFamily.InterNetworkV6 ? IPAddress.IPv6Any : IPAddress.Any, 0);
        while (!_stopping.IsSet)
        {
            try
            {
                var length = socket.ReceiveFrom(buffer, SocketFlags.None, from);
                if (_stopping.IsSet)
                {
                    return;
                }

                // Four bytes or less are somebody's keep-alive.
                if (length > 4 && template.Create(from) is IPEndPoint { Port: > 0 } remote)
                {
                    sink.OnMessage(buffer.AsSpan(0, length), To(remote));
                }
            }
            catch (SocketException e)
            {
                ReceiveFailed(e.SocketErrorCode);
                _stopping.Wait(PauseMs);        // an error that stays must not take the processor and fill the log
            }
#pragma warning disable CA1031 // one message's fault must not end the port of all
            catch (Exception e)
#pragma warning restore CA1031
            {
                counters.Count(ref counters.Faults);
                Fault(e);
            }
        }
    }

    private bool TrySend(ReadOnlyMemory<byte> message, IPEndPoint remote)
    {
        try
        {
            socket.SendTo(message.Span, SocketFlags.None, remote);
            return true;
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.WouldBlock or SocketError.NoBufferSpaceAvailable)
        {
            counters.Count(ref counters.SendFailed);
            return true;        // to the peer it is loss, which retransmission mends
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            counters.Count(ref counters.SendFailed);
            return false;
        }
    }

    private void Knock()
    {
        using var knock = new Socket(Local.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        var own = Local.Address.Equals(IPAddress.Any) ? IPAddress.Loopback
            : Local.Address.Equals(IPAddress.IPv6Any) ? IPAddress.IPv6Loopback
            : Local.Address;
        try
        {
            knock.SendTo([0], new IPEndPoint(own, Local.Port));
        }
        catch (SocketException)
        {
            // Tried again.
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The SIP port could not receive: {Error}.")]
    private partial void ReceiveFailed(SocketError error);

    [LoggerMessage(Level = LogLevel.Error, Message = "The SIP user agent had a fault with a message; it is dropped.")]
    private partial void Fault(Exception fault);

    private sealed class UdpFlow(UdpPort port, IPEndPoint remote) : Flow
    {
        public override SipTransport Transport => SipTransport.Udp;

        public override IPEndPoint Remote => remote;

        public override bool TrySend(ReadOnlyMemory<byte> message) => port.TrySend(message, remote);
    }
}
