using VoicePlatform.MediaServer.Transport.Sctp;

namespace VoicePlatform.MediaServer.Transport;

/// <summary>Data channels.</summary>
internal sealed partial class PeerConnection
{
    public bool IsReliableOpen => _channels[(int)DataChannelKind.Reliable] is not null;

    /// <summary>
    /// Sends one message. False when the channel is not open, the message is longer than 256 KiB, or the send buffer (1 MiB) has no
    /// room for it: the caller decides whether that peer is too slow to be kept.
    /// </summary>
    public bool SendData(DataChannelKind channel, ReadOnlySpan<byte> message)
    {
        var sctp = _sctp;
        return sctp is not null && _channels[(int)channel] is { } stream && sctp.Send(stream, message);
    }

    /// <summary>Messages wait because the observer was not ready for them.</summary>
    internal bool HasWaitingData => _sctp?.HasWaiting ?? false;

    bool ISctpObserver.IsReady => _observer.IsReady;

    /// <summary>One SCTP packet, or an empty one to take what waits and what the stack's timers found. Data thread.</summary>
    internal void OnSctp(ReadOnlySpan<byte> packet)
    {
        if (packet.IsEmpty)
        {
            _sctp?.Drain();
        }
        else
        {
            _sctp?.Receive(packet);
        }
    }

    void ISctpObserver.OnChannelOpen(ushort stream, in ChannelOpen open)
    {
        DataChannelKind? kind = open.Label switch
        {
            "_reliable" => DataChannelKind.Reliable,
            "_lossy" => DataChannelKind.Lossy,
            "_data_track" => DataChannelKind.DataTrack,
            _ => null,
        };
        if (kind is { } known)
        {
            _channels[(int)known] = stream;
            _observer.OnDataChannelOpen(known);
        }
    }

    void ISctpObserver.OnMessage(ushort stream, ReadOnlySpan<byte> message)
    {
        var index = Array.IndexOf(_channels, stream);
        if (index >= 0)
        {
            _observer.OnData((DataChannelKind)index, message);
        }
    }

    void ISctpObserver.OnChannelClosed(ushort stream)
    {
        var index = Array.IndexOf(_channels, stream);
        if (index >= 0)
        {
            _channels[index] = null;
        }
    }

    void ISctpObserver.OnAssociationLost(bool byPeer)
    {
        // Clients abort SCTP before they close DTLS: that is a goodbye, not a failure.
        Move(byPeer ? PeerState.Closed : PeerState.Failed);
    }
}
