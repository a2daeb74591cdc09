using System.Buffers.Binary;
using System.Numerics;

namespace VoicePlatform.Tests.MediaServer.Transport;

/// <summary>CRC32c of an SCTP packet (RFC 9260 appendix A), so that tampered packets get past the first gate.</summary>
internal static class SctpChecksum
{
    public static byte[] Mend(byte[] packet)
    {
        if (packet.Length < 12)
        {
            return packet;
        }

        packet.AsSpan(8, 4).Clear();
        var crc = uint.MaxValue;
        foreach (var b in packet)
        {
            crc = BitOperations.Crc32C(crc, b);
        }

        BinaryPrimitives.WriteUInt32LittleEndian(packet.AsSpan(8), ~crc);
        return packet;
    }
}
