using System.Net;
using System.Net.Sockets;

namespace VoicePlatform.MediaServer.Sip.Media.Net;

/// <summary>An RTP socket on an even port and its RTCP socket on the next.</summary>
internal sealed record RtpPair(Socket Rtp, Socket Rtcp) : IDisposable
{
    public int Port => ((IPEndPoint)Rtp.LocalEndPoint!).Port;

    public void Dispose()
    {
        Rtp.Dispose();
        Rtcp.Dispose();
    }
}

/// <summary>
/// Hands out ports of the range in turn, so that one is not used again until all others were: stray packets of the call before would
/// look like the new one's.
/// </summary>
internal sealed class RtpPorts(IPAddress bind, (int First, int Last) range)
{
    private const int Tries = 200;
    private const int Buffer = 256 * 1024;
    private const int ExpeditedForwarding = 0xB8;       // DSCP 46: voice

    private readonly Lock _gate = new();
    private int _next = -1;

    /// <exception cref="PhoneMediaException">All ports are taken.</exception>
    public RtpPair Open()
    {
        lock (_gate)
        {
            return range == (0, 0) ? OpenAny() : OpenInRange();
        }
    }

    private RtpPair OpenAny()
    {
        for (var i = 0; i < Tries; i++)
        {
            var first = TryBind(0);
            if (first?.LocalEndPoint is IPEndPoint { Port: < ushort.MaxValue } at && (at.Port & 1) == 0 && TryBind(at.Port + 1) is { } second)
            {
                return new RtpPair(first, second);
            }

            first?.Dispose();
        }

        throw new PhoneMediaException($"No pair of UDP ports is free on {bind}.");
    }

    private RtpPair OpenInRange()
    {
        var first = range.First + (range.First & 1);
        var pairs = (range.Last - first + 1) / 2;
        for (var i = 0; i < pairs; i++)
        {
            _next = (_next + 1) % pairs;
            var port = first + (2 * _next);
            if (TryBind(port) is not { } rtp)
            {
                continue;
            }

            if (TryBind(port + 1) is { } rtcp)
            {
                return new RtpPair(rtp, rtcp);
            }

            rtp.Dispose();
        }

        throw new PhoneMediaException(
            $"No pair of UDP ports from {range.First} to {range.Last} is free on {bind}: every call takes two; set EMBEDDED_SIP_RTP_PORTS to a wider range.");
    }

    private Socket? TryBind(int port)
    {
        var socket = new Socket(bind.AddressFamily, SocketType.Dgram, ProtocolType.Udp) { ReceiveBufferSize = Buffer, SendBufferSize = Buffer };
        try
        {
            if (bind.AddressFamily == AddressFamily.InterNetwork)
            {
                socket.SetSocketOption(SocketOptionLevel.IP, SocketOptionName.TypeOfService, ExpeditedForwarding);
            }

            socket.Bind(new IPEndPoint(bind, port));
            return socket;
        }
        catch (SocketException)
        {
            socket.Dispose();
            return null;
        }
    }
}
