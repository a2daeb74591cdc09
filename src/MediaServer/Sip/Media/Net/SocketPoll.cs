using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace VoicePlatform.MediaServer.Sip.Media.Net;

/// <summary>
/// Waits for datagrams on many sockets at once (epoll) and reads them without blocking and without allocating; .NET's own sockets offer
/// the first only with lists, the second only with exceptions.
/// </summary>
internal sealed unsafe partial class SocketPoll : IDisposable
{
    private const int Add = 1;
    private const uint Readable = 1;
    private const int DontWait = 0x40;
    private const int MaxEvents = 64;
    private const int CloseOnExec = 0x80000;

    // struct epoll_event is packed on x64 only.
    private static readonly int s_eventSize = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;
    private static readonly int s_idAt = s_eventSize - 8;

    private readonly int _poll = epoll_create1(CloseOnExec);
    private readonly byte[] _events = new byte[MaxEvents * s_eventSize];
    private bool _isDisposed;

    /// <summary>The socket's datagrams are told under this number until it is closed. Any thread.</summary>
    public void Watch(Socket socket, long id)
    {
        var watch = stackalloc byte[16];
        *(uint*)watch = Readable;
        *(long*)(watch + s_idAt) = id;
        if (epoll_ctl(_poll, Add, socket.SafeHandle, watch) != 0)
        {
            throw new PhoneMediaException($"A socket cannot be watched: error {Marshal.GetLastPInvokeError()}.");
        }
    }

    /// <summary>Waits; returns how many numbers of sockets with datagrams were written to <paramref name="ids"/>.</summary>
    public int Wait(Span<long> ids, int timeoutMs)
    {
        fixed (byte* events = _events)
        {
            var count = epoll_wait(_poll, events, Math.Min(MaxEvents, ids.Length), timeoutMs);
            for (var i = 0; i < count; i++)
            {
                ids[i] = BinaryPrimitives.ReadInt64LittleEndian(_events.AsSpan((i * s_eventSize) + s_idAt));
            }

            return Math.Max(0, count);
        }
    }

    /// <summary>One datagram; -1 when there is none or the socket had an error (which is then cleared).</summary>
    /// <exception cref="ObjectDisposedException">The socket is closed.</exception>
    public static int Receive(SafeSocketHandle socket, Span<byte> buffer, SocketAddress from)
    {
        fixed (byte* data = buffer)
        fixed (byte* address = from.Buffer.Span)
        {
            var size = (uint)from.Buffer.Length;
            return (int)recvfrom(socket, data, (nuint)buffer.Length, DontWait, address, &size);
        }
    }

    public void Dispose()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            _ = close(_poll);
        }
    }

    [LibraryImport("libc.so.6", SetLastError = true)]
    private static partial int epoll_create1(int flags);

    [LibraryImport("libc.so.6", SetLastError = true)]
    private static partial int epoll_ctl(int poll, int operation, SafeSocketHandle socket, byte* watch);

    [LibraryImport("libc.so.6", SetLastError = true)]
    private static partial int epoll_wait(int poll, byte* events, int maxEvents, int timeoutMs);

    [LibraryImport("libc.so.6")]
    private static partial nint recvfrom(SafeSocketHandle socket, byte* data, nuint length, int flags, byte* address, uint* addressLength);

    [LibraryImport("libc.so.6")]
    private static partial int close(int file);
}
