using System.Net;
using System.Net.Sockets;

namespace VoicePlatform.IntegrationTests.Support;

/// <summary>
/// Ports for servers that must be told theirs beforehand. Below those of SIP's peers (from 21000) and those which systems give away to outgoing connections (from 32768), and none
/// twice in a process, so that nobody takes one between its choice and its use.
/// </summary>
internal static class Ports
{
    private const int First = 12_000;
    private const int Count = 9_000;

    // Test processes run side by side: each begins elsewhere.
    private static int _last = Random.Shared.Next(Count);

    /// <summary>A port of 127.0.0.1 that is free for TCP and for UDP.</summary>
    public static int Next()
    {
        for (var tries = 0; tries < Count; tries++)
        {
            var port = First + (int)((uint)Interlocked.Increment(ref _last) % Count);
            if (IsFree(port, SocketType.Stream) && IsFree(port, SocketType.Dgram))
            {
                return port;
            }
        }

        throw new InvalidOperationException("No port is free.");
    }

    private static bool IsFree(int port, SocketType type)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, type, ProtocolType.Unspecified);
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
