using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace VoicePlatform.MediaServer.Transport.Ice;

/// <summary>Where a datagram came from, as a key that costs nothing to make. IPv4 is held as IPv4-mapped IPv6.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct RemoteAddress(ulong High, ulong Low, ushort Port, bool IsV4)
{
    private const ulong MappedPrefix = 0x0000_FFFF_0000_0000;

    /// <summary>Reads a sockaddr_in or sockaddr_in6 as the socket left it.</summary>
    public static RemoteAddress From(SocketAddress address)
    {
        var bytes = address.Buffer.Span;
        var port = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
        return address.Family == AddressFamily.InterNetwork
            ? new RemoteAddress(0, MappedPrefix | BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]), port, IsV4: true)
            : new RemoteAddress(BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]), BinaryPrimitives.ReadUInt64BigEndian(bytes[16..]), port, IsV4: false);
    }

    public IPEndPoint ToEndPoint()
    {
        if (IsV4)
        {
            Span<byte> four = stackalloc byte[4];
            BinaryPrimitives.WriteUInt32BigEndian(four, (uint)Low);
            return new IPEndPoint(new IPAddress(four), Port);
        }

        Span<byte> sixteen = stackalloc byte[16];
        BinaryPrimitives.WriteUInt64BigEndian(sixteen, High);
        BinaryPrimitives.WriteUInt64BigEndian(sixteen[8..], Low);
        return new IPEndPoint(new IPAddress(sixteen), Port);
    }
}
