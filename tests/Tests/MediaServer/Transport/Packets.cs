using System.Text;
using VoicePlatform.MediaServer.Transport;
using VoicePlatform.MediaServer.Transport.Rtp;

namespace VoicePlatform.Tests.MediaServer.Transport;

/// <summary>RTP packets as clients send them.</summary>
internal static class Packets
{
    public static byte[] Opus(uint ssrc, ushort sequence, uint timestamp, byte[] frame, byte level = 20, string mid = "") =>
        Build(111, ssrc, sequence, timestamp, frame, level, mid);

    public static byte[] Red(uint ssrc, ushort sequence, uint timestamp, byte[] frame, byte[] previous, byte level = 20, string mid = "")
    {
        const int Offset = 960;
        byte[] payload =
        [
            0x80 | 111, Offset >> 6, (byte)(((Offset & 0x3F) << 2) | (previous.Length >> 8)), (byte)previous.Length,
            111, .. previous, .. frame,
        ];
        return Build(63, ssrc, sequence, timestamp, payload, level, mid);
    }

    public static InboundAudio Published(this TestClient client, string mid = "")
    {
        var sending = client.Peer.Negotiate(client.Offers.ToString()).Sending;
        return sending.Single(s => s.Kind == "audio" && (mid.Length == 0 || s.Mid == mid)).Audio!;
    }

    private static byte[] Build(byte payloadType, uint ssrc, ushort sequence, uint timestamp, byte[] payload, byte level, string mid)
    {
        var buffer = new byte[payload.Length + 64];
        var header = RtpPacket.WriteHeader(buffer, payloadType, false, sequence, timestamp, ssrc, 1, level, mid.Length == 0 ? 0 : 4, Encoding.ASCII.GetBytes(mid));
        payload.CopyTo(buffer, header);
        return buffer[..(header + payload.Length)];
    }
}
