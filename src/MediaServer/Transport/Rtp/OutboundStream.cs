using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;
using VoicePlatform.MediaServer.Transport.Srtp;

namespace VoicePlatform.MediaServer.Transport.Rtp;

/// <summary>
/// One SSRC towards one peer: a track in a section, from its assignment until the section is freed. State is guarded by the
/// sender's gate.
/// </summary>
internal sealed class OutboundStream(SrtpSender sender, AudioFormat format, string mid, string canonicalName)
{
    private const int MaxPacket = 1_500;
    private readonly byte[] _mid = Encoding.UTF8.GetBytes(mid);
    private StreamRewriter _rewriter = new((ushort)RandomNumberGenerator.GetInt32(0x8000), (uint)RandomNumberGenerator.GetInt32(int.MaxValue));
    private uint _packets;
    private uint _octets;
    private bool _isClosed;

    public uint Ssrc { get; } = (uint)RandomNumberGenerator.GetInt32(1, int.MaxValue);

    public string CanonicalName => canonicalName;

    /// <summary>From the client's receiver reports.</summary>
    public ReportBlock LastReport { get; private set; }

    public TimeSpan RoundTrip { get; private set; }

    /// <summary>Something was left out on purpose; the stream will go on without a gap.</summary>
    public void Skip()
    {
        lock (sender.Gate)
        {
            _rewriter.Skip();
        }
    }

    /// <summary>Ends the stream: a packet that another thread is about to send is not sent any more.</summary>
    public void Close()
    {
        lock (sender.Gate)
        {
            _isClosed = true;
            sender.Forget(Ssrc);
        }
    }

    /// <summary>Sends the packet under this stream's numbers. Allocates nothing.</summary>
    /// <param name="packet">As it came in.</param>
    /// <param name="blocks">The blocks of its payload when it is RED, else empty.</param>
    /// <param name="epoch">Of the source, see <see cref="StreamRewriter"/>.</param>
    /// <param name="level">The packet's audio level byte.</param>
    /// <param name="nowMs">Monotonic time.</param>
    [SkipLocalsInit]
    public void Forward(in RtpPacket packet, ReadOnlySpan<RedBlock> blocks, int epoch, byte level, long nowMs)
    {
        var payload = packet.Payload;
        var asRed = blocks.Length > 0 && format.Red is not null;
        if (blocks.Length > 0 && !asRed)
        {
            var primary = blocks[^1];
            payload = payload.Slice(primary.Start, primary.Length);
        }

        Span<byte> buffer = stackalloc byte[MaxPacket];
        if (payload.IsEmpty || payload.Length > MaxPacket - 64 - SrtpSession.MaxTrailer)
        {
            return;
        }

        lock (sender.Gate)
        {
            if (_isClosed)
            {
                return;
            }

            if (!sender.IsOpen)
            {
                _rewriter.Skip();
                return;
            }

            var (sequence, timestamp) = (packet.Sequence, packet.Timestamp);
            if (!_rewriter.TryRewrite(epoch, ref sequence, ref timestamp, nowMs, out var isFirst))
            {
                return;
            }

            var header = RtpPacket.WriteHeader(
                buffer, asRed ? format.Red!.Value : format.Opus, packet.Marker || isFirst, sequence, timestamp, Ssrc, format.LevelId, level, format.MidId, _mid);
            payload.CopyTo(buffer[header..]);
            if (asRed)
            {
                RedPayload.Rewrite(buffer.Slice(header, payload.Length), format.Opus);
            }

            if (sender.Send(buffer, header + payload.Length))
            {
                _packets++;
                _octets += (uint)payload.Length;
            }
        }
    }

    /// <summary>A sender report with the canonical name, when anything was sent yet.</summary>
    [SkipLocalsInit]
    public void Report(ulong ntp, long nowMs)
    {
        Span<byte> buffer = stackalloc byte[256];
        lock (sender.Gate)
        {
            if (_packets == 0 || _isClosed)
            {
                return;
            }

            var length = RtcpPacket.WriteSenderReport(buffer, Ssrc, ntp, _rewriter.TimestampAt(nowMs), _packets, _octets);
            length += RtcpPacket.WriteCanonicalName(buffer[length..], Ssrc, canonicalName);
            sender.SendRtcp(buffer, length);
        }
    }

    /// <summary>Takes what the client reports of this stream.</summary>
    public void OnReport(in ReportBlock block, ulong ntpNow)
    {
        LastReport = block;
        if (block.LastSenderReport == 0)
        {
            return;
        }

        var roundTrip = (int)((uint)(ntpNow >> 16) - block.LastSenderReport - block.Delay);
        if (roundTrip >= 0)
        {
            RoundTrip = TimeSpan.FromSeconds(roundTrip / 65_536.0);
        }
    }
}
