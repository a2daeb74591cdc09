using System.Buffers.Binary;
using VoicePlatform.MediaServer.Transport.Rtp;

namespace VoicePlatform.MediaServer.Transport;

/// <summary>Media that comes in.</summary>
internal sealed partial class PeerConnection
{
    /// <summary>A datagram of SRTP or SRTCP. Decrypted in place. Receive thread.</summary>
    internal void OnMedia(Span<byte> datagram)
    {
        if (RtpPacket.IsRtcp(datagram))
        {
            OnRtcp(datagram);
            return;
        }

        // The header is in the clear: what belongs to no published track costs no decryption, and no state in the SRTP session.
        if (!RtpPacket.TryReadHeader(datagram, out var header) || _sections.Find(header) is not { } audio)
        {
            _transport.Counters.MediaRefused++;
            return;
        }

        int length;
        lock (_inboundGate)
        {
            length = _inbound?.Unprotect(datagram) ?? 0;
        }

        if (length == 0 || !RtpPacket.TryRead(datagram[..length], out var packet))
        {
            _transport.Counters.MediaRefused++;
            return;
        }

        _sections.Learn(packet.Ssrc, audio);
        Volatile.Write(ref _packetsIn, _packetsIn + 1);
        Volatile.Write(ref _bytesIn, _bytesIn + length);
        Volatile.Write(ref _heardAtMs, _clock.NowMs);
        var isFirst = audio.PacketsReceived == 0;
        audio.Receive(packet);
        if (isFirst && audio.PacketsReceived > 0)
        {
            _observer.OnAudioStarted(audio);
        }
    }

    private void ForgetInbound(uint ssrc)
    {
        lock (_inboundGate)
        {
            _inbound?.Remove(ssrc);
        }
    }

    private void OnRtcp(Span<byte> datagram)
    {
        var length = 0;
        if (datagram.Length >= 8)
        {
            lock (_inboundGate)
            {
                length = _inbound?.UnprotectRtcp(datagram) ?? 0;
                if (length > 0)
                {
                    Remember(BinaryPrimitives.ReadUInt32BigEndian(datagram[4..]));
                }
            }
        }

        if (length == 0)
        {
            _transport.Counters.MediaRefused++;
            return;
        }

        Volatile.Write(ref _heardAtMs, _clock.NowMs);
        _reports.Take(datagram[..length]);
    }

    /// <summary>
    /// Keeps the number of SSRCs bounded that reports come from, as each costs state in the SRTP session: the oldest is forgotten for a
    /// new one.
    /// </summary>
    private void Remember(uint reporter)
    {
        if (_reporters.AsSpan().Contains(reporter))
        {
            return;
        }

        ref var oldest = ref _reporters[_nextReporter];
        if (oldest != 0 && !_sections.Knows(oldest))
        {
            _inbound?.Remove(oldest);
        }

        oldest = reporter;
        _nextReporter = (_nextReporter + 1) % _reporters.Length;
    }
}
