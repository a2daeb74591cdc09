using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;

namespace VoicePlatform.IntegrationTests.MediaServer.Sip;

/// <summary>
/// Ports for processes that must be told theirs: from below the range the system gives away by itself, each once in this process, so
/// that nobody takes one between choosing and using it.
/// </summary>
internal static class PeerPorts
{
    private const int First = 21_000;
    private const int Count = 11_000;
    private const int Step = 10;        // the ports after it are the peer's as well: RTP, RTCP, video

    private static int _next = Environment.ProcessId * 40 * Step;

    public static int Take()
    {
        while (true)
        {
            var port = First + ((Interlocked.Add(ref _next, Step) & int.MaxValue) % Count);
            if (IsFree(port, SocketType.Dgram) && IsFree(port, SocketType.Stream))
            {
                return port;
            }
        }
    }

    /// <summary>Whether somebody listens there; asks the system, and so is in nobody's way who is about to.</summary>
    public static bool IsTaken(int port, SocketType type)
    {
        var system = IPGlobalProperties.GetIPGlobalProperties();
        return Array.Exists(type == SocketType.Dgram ? system.GetActiveUdpListeners() : system.GetActiveTcpListeners(), l => l.Port == port);
    }

    private static bool IsFree(int port, SocketType type)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, type, type == SocketType.Dgram ? ProtocolType.Udp : ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
