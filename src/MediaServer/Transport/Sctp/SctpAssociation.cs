using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace VoicePlatform.MediaServer.Transport.Sctp;

/// <summary>What an association reports. Called without any lock of the SCTP stack held.</summary>
internal interface ISctpObserver
{
    /// <summary>A channel of the label is open in both directions.</summary>
    void OnChannelOpen(ushort stream, in ChannelOpen open);

    void OnMessage(ushort stream, ReadOnlySpan<byte> message);

    /// <summary>
    /// False while it takes no more messages: they stay in the stack's receive buffer, and when that is full, the peer has to wait.
    /// </summary>
    bool IsReady => true;

    /// <summary>The peer reset the stream: the channel is closed.</summary>
    void OnChannelClosed(ushort stream);

    /// <summary>The association ended or could not be made.</summary>
    /// <param name="byPeer">The peer ended it, in contrast to one that no longer answers or breaks the protocol.</param>
    void OnAssociationLost(bool byPeer);
}

/// <summary>One SCTP association over a DTLS session, with the data channels in it.</summary>
/// <remarks>
/// Incoming packets put messages into usrsctp's receive queue, which is emptied at once, outside the stack's lock. One thread receives
/// and drains (the transport's data thread); any thread may send or dispose.
/// </remarks>
internal sealed unsafe class SctpAssociation : IDisposable
{
    public const int MaxStreams = 1_024;

    /// <summary>Largest message in either direction, in bytes; announced as <c>a=max-message-size</c>.</summary>
    public const int MaxMessage = 256 * 1024;

    private const ushort Port = 5000;
    // A message costs the stack some 400 bytes of its own beyond these; stamped with their sender, data messages are 50 bytes and more.
    private const int SendBuffer = 1024 * 1024;

    /// <summary>What only channels that may lose messages can use: a peer that does not acknowledge reliable data still gets those.</summary>
    private const int LossyReserve = 256 * 1024;

    private const int FirstMessageBuffer = 32 * 1024;
    private const int ReceiveBuffer = 1024 * 1024;

    // UDP payload of a DTLS datagram, less the record header, nonce and tag.
    private const int PathMtu = Dtls.DtlsSession.Mtu - 13 - 8 - 16;

    private readonly ISctpObserver _observer;
    private readonly DatagramSender _send;
    private readonly ConcurrentDictionary<ushort, ChannelOpen> _channels = new();
    private byte[] _message = new byte[FirstMessageBuffer];
    private int _messageLength;
    private bool _reserveIsOpen;
    private nint _address;
    private nint _socket;
    private bool _isLost;
    private volatile bool _hasFault;

    /// <param name="observer">Told of channels, messages and the end.</param>
    /// <param name="send">Takes one SCTP packet to encrypt; called with the stack's lock held.</param>
    public SctpAssociation(ISctpObserver observer, DatagramSender send)
    {
        (_observer, _send) = (observer, send);
        lock (SctpStack.Gate)
        {
            _address = SctpStack.Register(this);
            _socket = UsrSctp.usrsctp_socket(UsrSctp.AddressFamilyConn, UsrSctp.SocketStream, UsrSctp.ProtocolSctp, 0, 0, 0, 0);
            if (_socket == 0)
            {
                SctpStack.Deregister(_address);
                throw new TransportException("usrsctp has no more sockets.");
            }

            try
            {
                Configure();
            }
            catch
            {
                Dispose();
                throw;
            }
        }
    }

    /// <summary>Messages wait for an observer that is not ready.</summary>
    public bool HasWaiting { get; private set; }

    /// <summary>Messages refused because the send buffer was full or the channel was closed.</summary>
    public long Refused { get; private set; }

    /// <summary>Starts the association; both sides of WebRTC do, and the two meet.</summary>
    public void Connect()
    {
        lock (SctpStack.Gate)
        {
            if (_socket == 0)
            {
                return;
            }

            var address = Name();
            _ = UsrSctp.usrsctp_connect(_socket, &address, (uint)sizeof(UsrSctp.Address));
        }
    }

    /// <summary>Takes one SCTP packet out of a DTLS record.</summary>
    public void Receive(ReadOnlySpan<byte> packet)
    {
        lock (SctpStack.Gate)
        {
            if (_socket == 0)
            {
                return;
            }

            fixed (byte* data = packet)
            {
                UsrSctp.usrsctp_conninput(_address, data, (nuint)packet.Length, 0);
            }
        }

        TakeAll(byPeer: true);
    }

    /// <summary>Opens a channel towards the peer; the peer's acknowledgement needs no waiting for.</summary>
    public bool Open(ushort stream, in ChannelOpen open)
    {
        Span<byte> message = stackalloc byte[12 + 1_024];
        var length = DataChannelProtocol.WriteOpen(message, open);
        _channels[stream] = open;
        return Send(stream, DataChannelProtocol.ControlProtocol, message[..length], default);
    }

    /// <summary>
    /// False when the channel is not open or the send buffer (1 MiB, and 256 KiB more for channels that may lose messages) has no room.
    /// </summary>
    public bool Send(ushort stream, ReadOnlySpan<byte> message)
    {
        if (!_channels.TryGetValue(stream, out var channel))
        {
            Refused++;
            return false;
        }

        // SCTP cannot carry an empty message: it is sent as one byte that the protocol number declares void.
        return message.IsEmpty
            ? Send(stream, DataChannelProtocol.EmptyBinaryProtocol, [0], channel)
            : Send(stream, DataChannelProtocol.BinaryProtocol, message, channel);
    }

    /// <summary>Takes out what timers put in: the end of the association. Messages are taken out as their packets arrive.</summary>
    public void Drain() => TakeAll(byPeer: false);

    public void Dispose()
    {
        lock (SctpStack.Gate)
        {
            if (_socket == 0)
            {
                return;
            }

            // Lingers for zero seconds: the association is aborted and forgotten at once.
            UsrSctp.usrsctp_close(_socket);
            SctpStack.Deregister(_address);
            (_socket, _address) = (0, 0);
        }

        _channels.Clear();
    }

    /// <summary>Called by the native stack, through which no exception may pass: a fault shows at the next <see cref="Drain"/>.</summary>
    internal void Output(ReadOnlySpan<byte> packet)
    {
        try
        {
            _send(packet);
        }
#pragma warning disable CA1031 // an exception that left here would end the process
        catch (Exception)
#pragma warning restore CA1031
        {
            _hasFault = true;
        }
    }

    private void Configure()
    {
        _ = UsrSctp.usrsctp_set_non_blocking(_socket, 1);
        var linger = new UsrSctp.Linger { On = 1 };
        Set(UsrSctp.LevelSocket, UsrSctp.OptionLinger, &linger, sizeof(UsrSctp.Linger));
        var sendBuffer = SendBuffer;
        Set(UsrSctp.LevelSocket, UsrSctp.OptionSendBuffer, &sendBuffer, sizeof(int));
        var receiveBuffer = ReceiveBuffer;
        Set(UsrSctp.LevelSocket, UsrSctp.OptionReceiveBuffer, &receiveBuffer, sizeof(int));
        var on = 1;
        Set(UsrSctp.ProtocolSctp, UsrSctp.OptionNoDelay, &on, sizeof(int));
        Set(UsrSctp.ProtocolSctp, UsrSctp.OptionReceiveInfo, &on, sizeof(int));
        var reset = new UsrSctp.AssociationValue { Association = 2, Value = 1 };
        Set(UsrSctp.ProtocolSctp, UsrSctp.OptionEnableStreamReset, &reset, sizeof(UsrSctp.AssociationValue));
        foreach (var type in (ReadOnlySpan<ushort>)[UsrSctp.EventAssociationChange, UsrSctp.EventStreamReset])
        {
            var choice = new UsrSctp.EventChoice { Association = 2, Type = type, On = 1 };
            Set(UsrSctp.ProtocolSctp, UsrSctp.OptionEvent, &choice, sizeof(UsrSctp.EventChoice));
        }

        var init = new UsrSctp.InitMessage { OutgoingStreams = MaxStreams, MaxIncomingStreams = MaxStreams };
        Set(UsrSctp.ProtocolSctp, UsrSctp.OptionInitMsg, &init, sizeof(UsrSctp.InitMessage));
        var address = Name();
        _ = UsrSctp.usrsctp_bind(_socket, &address, (uint)sizeof(UsrSctp.Address));
        var path = new UsrSctp.PeerAddressParameters { Address = address, PathMtu = PathMtu, Flags = UsrSctp.PathMtuDiscoveryDisable };
        Set(UsrSctp.ProtocolSctp, UsrSctp.OptionPeerAddressParameters, &path, sizeof(UsrSctp.PeerAddressParameters));
    }

    private void Set(int level, int option, void* value, int length)
    {
        if (UsrSctp.usrsctp_setsockopt(_socket, level, option, value, (uint)length) != 0)
        {
            throw new TransportException($"usrsctp refused option {option}.");
        }
    }

    private UsrSctp.Address Name() => new()
    {
        Family = UsrSctp.AddressFamilyConn,
        Port = BinaryPrimitives.ReverseEndianness(Port),
        Value = _address,
    };

    private bool Send(ushort stream, uint protocol, ReadOnlySpan<byte> message, in ChannelOpen channel)
    {
        if (message.Length > MaxMessage)
        {
            Refused++;
            return false;
        }

        var parameters = new UsrSctp.SendParameters
        {
            Valid = UsrSctp.SendInfoValid,
            Stream = stream,
            Flags = (ushort)(UsrSctp.EndOfRecord | (channel.IsUnordered ? UsrSctp.Unordered : 0)),
            PayloadProtocol = BinaryPrimitives.ReverseEndianness(protocol),
        };
        if (channel.MaxRetransmits is { } retransmits)
        {
            parameters.Valid |= UsrSctp.SendPartialReliabilityValid;
            (parameters.Policy, parameters.PolicyValue) = (UsrSctp.PolicyRetransmissions, retransmits);
        }
        else if (channel.MaxLifetimeMs is { } lifetime)
        {
            parameters.Valid |= UsrSctp.SendPartialReliabilityValid;
            (parameters.Policy, parameters.PolicyValue) = (UsrSctp.PolicyTimed, lifetime);
        }

        lock (SctpStack.Gate)
        {
            if (_socket == 0)
            {
                return false;
            }

            var mayLose = channel.MaxRetransmits is not null || channel.MaxLifetimeMs is not null;
            fixed (byte* data = message)
            {
                UseReserve(mayLose);
                var sent = UsrSctp.usrsctp_sendv(
                    _socket, data, (nuint)message.Length, 0, 0, &parameters, (uint)sizeof(UsrSctp.SendParameters), UsrSctp.SendSpa, 0);
                UseReserve(false);
                if (sent != message.Length)
                {
                    Refused++;
                    return false;
                }
            }
        }

        return true;
    }

    /// <summary>The stack's buffer is one for all channels: it is widened for one call.</summary>
    private void UseReserve(bool isAllowed)
    {
        if (isAllowed != _reserveIsOpen)
        {
            _reserveIsOpen = isAllowed;
            var size = isAllowed ? SendBuffer + LossyReserve : SendBuffer;
            _ = UsrSctp.usrsctp_setsockopt(_socket, UsrSctp.LevelSocket, UsrSctp.OptionSendBuffer, &size, sizeof(int));
        }
    }

    private void TakeAll(bool byPeer)
    {
        if (_hasFault)
        {
            _hasFault = false;
            throw new TransportException("A packet of a data channel could not be encrypted or sent.");
        }

        HasWaiting = false;
        while (true)
        {
            if (!_observer.IsReady)
            {
                HasWaiting = _socket != 0;
                return;
            }

            var before = _messageLength;
            if (!TakeOne(out var info, out var flags))
            {
                return;
            }

            if ((flags & UsrSctp.MessageNotification) != 0)
            {
                // It may come between two pieces of a message.
                var end = _messageLength;
                _messageLength = before;
                OnNotification(_message.AsSpan(before, end - before), byPeer);
            }
            else if ((flags & UsrSctp.MessageEndOfRecord) != 0)
            {
                var (message, length) = (_message, _messageLength);
                _messageLength = 0;
                if (message.Length > FirstMessageBuffer)
                {
                    _message = new byte[FirstMessageBuffer];        // a rare long message must not keep its memory for the whole call
                }

                OnMessage(info, message.AsSpan(0, length));
            }
        }
    }

    /// <summary>Appends the next piece to <see cref="_message"/>; false when nothing waits.</summary>
    private bool TakeOne(out UsrSctp.ReceiveInfo info, out int flags)
    {
        info = default;
        flags = 0;
        if (_message.Length - _messageLength < 16 * 1024)
        {
            if (_message.Length > MaxMessage + (64 * 1024))
            {
                // Longer than announced: the peer breaks the protocol and loses its association.
                _messageLength = 0;
                Lose(byPeer: false);
                return false;
            }

            Array.Resize(ref _message, _message.Length * 2);
        }

        lock (SctpStack.Gate)
        {
            if (_socket == 0)
            {
                return false;
            }

            fixed (byte* buffer = &_message[_messageLength])
            fixed (UsrSctp.ReceiveInfo* received = &info)
            fixed (int* receivedFlags = &flags)
            {
                var infoLength = (uint)sizeof(UsrSctp.ReceiveInfo);
                uint infoType = 0;
                uint fromLength = 0;
                var length = UsrSctp.usrsctp_recvv(
                    _socket, buffer, (nuint)(_message.Length - _messageLength), 0, &fromLength, received, &infoLength, &infoType, receivedFlags);
                if (length <= 0)
                {
                    return false;
                }

                _messageLength += (int)length;
                return true;
            }
        }
    }

    private void OnMessage(in UsrSctp.ReceiveInfo info, ReadOnlySpan<byte> message)
    {
        switch (BinaryPrimitives.ReverseEndianness(info.PayloadProtocol))
        {
            case DataChannelProtocol.ControlProtocol when DataChannelProtocol.TryReadOpen(message, out var open) && info.Stream < MaxStreams:
                _channels[info.Stream] = open;
                Send(info.Stream, DataChannelProtocol.ControlProtocol, DataChannelProtocol.Ack, default);
                _observer.OnChannelOpen(info.Stream, open);
                break;
            case DataChannelProtocol.StringProtocol or DataChannelProtocol.BinaryProtocol:
                _observer.OnMessage(info.Stream, message);
                break;
            case DataChannelProtocol.EmptyStringProtocol or DataChannelProtocol.EmptyBinaryProtocol:
                _observer.OnMessage(info.Stream, []);
                break;
            default:
                break;      // acknowledgements, and what nobody has defined
        }
    }

    private void OnNotification(ReadOnlySpan<byte> notification, bool byPeer)
    {
        // Notifications are in host byte order: type, flags, length, then by type.
        if (notification.Length < 8)
        {
            return;
        }

        switch (MemoryMarshal.Read<ushort>(notification))
        {
            case UsrSctp.EventAssociationChange when notification.Length >= 10:
                if (MemoryMarshal.Read<ushort>(notification[8..]) is UsrSctp.StateLost or UsrSctp.StateShutdownComplete or UsrSctp.StateCannotStart)
                {
                    Lose(byPeer);
                }

                break;
            case UsrSctp.EventStreamReset when (MemoryMarshal.Read<ushort>(notification[2..]) & UsrSctp.ResetIncoming) != 0:
                for (var at = 12; at + 2 <= notification.Length; at += 2)
                {
                    CloseChannel(MemoryMarshal.Read<ushort>(notification[at..]));
                }

                break;
            default:
                break;
        }
    }

    private void CloseChannel(ushort stream)
    {
        if (!_channels.TryRemove(stream, out _))
        {
            return;
        }

        lock (SctpStack.Gate)
        {
            if (_socket != 0)
            {
                // Our half is reset too, then the stream may be used again (RFC 8831 section 6.7).
                var reset = new UsrSctp.ResetStream { Flags = UsrSctp.ResetOutgoing, Count = 1, Stream = stream };
                _ = UsrSctp.usrsctp_setsockopt(_socket, UsrSctp.ProtocolSctp, UsrSctp.OptionResetStreams, &reset, 10);
            }
        }

        _observer.OnChannelClosed(stream);
    }

    private void Lose(bool byPeer)
    {
        if (!_isLost)
        {
            _isLost = true;
            _observer.OnAssociationLost(byPeer);
        }
    }
}
