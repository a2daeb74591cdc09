using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace VoicePlatform.MediaServer.Transport;

/// <summary>
/// Sends datagrams without ever waiting: where the socket's buffer is full, the datagram is dropped. A blocking send would hold up the
/// receive thread, and with it the audio of every peer; .NET's sockets block in both directions or in none.
/// </summary>
internal sealed unsafe partial class UdpSender(Socket socket)
{
    private const int DontWait = 0x40;
    private const int NoSignal = 0x4000;

    private readonly SafeSocketHandle _socket = socket.SafeHandle;

    /// <summary>False when the datagram was dropped. Any thread; allocates nothing.</summary>
    /// <exception cref="ObjectDisposedException">The socket is closed.</exception>
    public bool TrySend(ReadOnlySpan<byte> datagram, SocketAddress to)
    {
        fixed (byte* data = datagram)
        fixed (byte* address = to.Buffer.Span)
        {
            return sendto(_socket, data, (nuint)datagram.Length, DontWait | NoSignal, address, (uint)to.Size) == datagram.Length;
        }
    }

    [LibraryImport("libc.so.6")]
    private static partial nint sendto(SafeSocketHandle socket, byte* data, nuint length, int flags, byte* address, uint addressLength);
}
