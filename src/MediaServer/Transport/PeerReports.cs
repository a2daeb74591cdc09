using System.Security.Cryptography;
using VoicePlatform.MediaServer.Transport.Rtp;
using VoicePlatform.MediaServer.Transport.Srtp;

namespace VoicePlatform.MediaServer.Transport;

/// <summary>The RTCP of one peer: what we report of its tracks and of ours, and what it reports back.</summary>
internal sealed class PeerReports(SrtpSender sender, MediaSections sections, MediaClock clock)
{
    private readonly uint _ssrc = (uint)RandomNumberGenerator.GetInt32(1, int.MaxValue);
    private readonly byte[] _packet = new byte[1_200];
    private readonly ReportBlock[] _blocks = new ReportBlock[31];
    private double _fractionLostIn;

    /// <summary>Takes a decrypted compound packet; stops where it is malformed. Receive thread.</summary>
    public void Take(ReadOnlySpan<byte> compound)
    {
        while (RtcpPacket.TryReadNext(ref compound, out var packet))
        {
            if (packet.Type == RtcpPacket.SenderReport)
            {
                foreach (var audio in sections.Audio)
                {
                    if (audio.Ssrc == packet.Ssrc)
                    {
                        audio.Reception.OnSenderReport(packet.Ntp, clock.NowMs);
                    }
                }
            }

            for (var i = 0; i < packet.BlockCount; i++)
            {
                Take(packet.Block(i));
            }
        }
    }

    /// <summary>A sender report for each forwarded track, and one receiver report for all published ones. Timer thread, every second.</summary>
    public void Send(long nowMs)
    {
        var ntp = clock.NtpNow();
        foreach (var subscription in sections.Subscriptions)
        {
            subscription.Stream?.Report(ntp, nowMs);
        }

        var (count, worst) = (0, 0);
        foreach (var audio in sections.Audio)
        {
            if (audio.PacketsReceived > 0 && count < _blocks.Length)
            {
                _blocks[count] = audio.Reception.Report(audio.Ssrc, nowMs);
                worst = Math.Max(worst, _blocks[count].FractionLost);
                count++;
            }
        }

        _fractionLostIn = worst / 256.0;
        if (count == 0)
        {
            return;
        }

        lock (sender.Gate)
        {
            sender.SendRtcp(_packet, RtcpPacket.WriteReceiverReport(_packet, _ssrc, _blocks.AsSpan(0, count)));
        }
    }

    public PeerStats Statistics(long packetsIn, long bytesIn)
    {
        var (lostIn, jitterIn) = (0L, 0u);
        foreach (var audio in sections.Audio)
        {
            (lostIn, jitterIn) = (lostIn + audio.PacketsLost, Math.Max(jitterIn, audio.Jitter));
        }

        var (lostOut, fractionOut, jitterOut, roundTrip) = (0L, 0, 0u, TimeSpan.Zero);
        foreach (var subscription in sections.Subscriptions)
        {
            if (subscription.Stream is { } stream)
            {
                var report = stream.LastReport;
                lostOut += Math.Max(0, report.Lost);
                fractionOut = Math.Max(fractionOut, report.FractionLost);
                jitterOut = Math.Max(jitterOut, report.Jitter);
                roundTrip = stream.RoundTrip > roundTrip ? stream.RoundTrip : roundTrip;
            }
        }

        return new PeerStats(
            packetsIn,
            bytesIn,
            sender.Packets,
            sender.Bytes,
            lostIn,
            _fractionLostIn,
            lostOut,
            fractionOut / 256.0,
            roundTrip,
            TimeSpan.FromSeconds(jitterIn / 48_000.0),
            TimeSpan.FromSeconds(jitterOut / 48_000.0));
    }

    private void Take(in ReportBlock block)
    {
        foreach (var subscription in sections.Subscriptions)
        {
            if (subscription.Stream is { } stream && stream.Ssrc == block.Ssrc)
            {
                stream.OnReport(block, clock.NtpNow());
            }
        }
    }
}
