using System.Runtime.InteropServices;

namespace VoicePlatform.MediaServer.Transport.Sctp;

/// <summary>The calls of usrsctp 0.9.5 in use. Names are the library's own; structures follow its header.</summary>
internal static unsafe partial class UsrSctp
{
    private const string Library = "libusrsctp.so.2";

    public const int AddressFamilyConn = 123;
    public const int SocketStream = 1;
    public const int ProtocolSctp = 132;
    public const int LevelSocket = 1;
    public const int OptionLinger = 13;
    public const int OptionSendBuffer = 7;
    public const int OptionReceiveBuffer = 8;

    public const int OptionInitMsg = 0x03;
    public const int OptionNoDelay = 0x04;
    public const int OptionPeerAddressParameters = 0x0a;
    public const int OptionEvent = 0x1e;
    public const int OptionReceiveInfo = 0x1f;
    public const int OptionEnableStreamReset = 0x900;
    public const int OptionResetStreams = 0x901;

    public const int MessageEndOfRecord = 0x80;     // MSG_EOR of Linux, which the library takes from the system's header
    public const int MessageNotification = 0x2000;

    public const ushort EventAssociationChange = 0x0001;
    public const ushort EventStreamReset = 0x0009;
    public const ushort StateUp = 1;
    public const ushort StateLost = 2;
    public const ushort StateRestart = 3;
    public const ushort StateShutdownComplete = 4;
    public const ushort StateCannotStart = 5;

    public const uint SendInfoValid = 1;
    public const uint SendPartialReliabilityValid = 2;
    public const uint SendSpa = 4;
    public const ushort Unordered = 0x0400;
    public const ushort EndOfRecord = 0x2000;
    public const ushort PolicyTimed = 1;
    public const ushort PolicyRetransmissions = 3;
    public const ushort ResetIncoming = 1;
    public const ushort ResetOutgoing = 2;

    [LibraryImport(Library)]
    public static partial void usrsctp_init_nothreads(
        ushort udpPort, delegate* unmanaged<nint, byte*, nuint, byte, byte, int> output, nint debug);

    [LibraryImport(Library)]
    public static partial nint usrsctp_socket(int domain, int type, int protocol, nint receive, nint send, uint sendThreshold, nint context);

    [LibraryImport(Library)]
    public static partial int usrsctp_setsockopt(nint socket, int level, int option, void* value, uint length);

    [LibraryImport(Library)]
    public static partial int usrsctp_set_non_blocking(nint socket, int on);

    [LibraryImport(Library)]
    public static partial int usrsctp_bind(nint socket, Address* name, uint length);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int usrsctp_connect(nint socket, Address* name, uint length);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint usrsctp_sendv(nint socket, byte* data, nuint length, nint to, int count, void* info, uint infoLength, uint infoType, int flags);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint usrsctp_recvv(
        nint socket, byte* buffer, nuint length, nint from, uint* fromLength, void* info, uint* infoLength, uint* infoType, int* flags);

    [LibraryImport(Library)]
    public static partial void usrsctp_close(nint socket);

    [LibraryImport(Library)]
    public static partial void usrsctp_register_address(nint address);

    [LibraryImport(Library)]
    public static partial void usrsctp_deregister_address(nint address);

    [LibraryImport(Library)]
    public static partial void usrsctp_conninput(nint address, byte* packet, nuint length, byte ecn);

    [LibraryImport(Library)]
    public static partial void usrsctp_handle_timers(uint elapsedMilliseconds);

    [LibraryImport(Library)]
    public static partial int usrsctp_sysctl_set_sctp_max_chunks_on_queue(uint value);

    [LibraryImport(Library)]
    public static partial int usrsctp_sysctl_set_sctp_ecn_enable(uint value);

    [LibraryImport(Library)]
    public static partial int usrsctp_sysctl_set_sctp_asconf_enable(uint value);

    [LibraryImport(Library)]
    public static partial int usrsctp_sysctl_set_sctp_auth_enable(uint value);

    [LibraryImport(Library)]
    public static partial int usrsctp_sysctl_set_sctp_pktdrop_enable(uint value);

    [LibraryImport(Library)]
    public static partial int usrsctp_sysctl_set_sctp_delayed_sack_time_default(uint value);

    [LibraryImport(Library)]
    public static partial int usrsctp_sysctl_set_sctp_rto_min_default(uint value);

    [LibraryImport(Library)]
    public static partial int usrsctp_sysctl_set_sctp_rto_initial_default(uint value);

    [LibraryImport(Library)]
    public static partial int usrsctp_sysctl_set_sctp_rto_max_default(uint value);

    [LibraryImport(Library)]
    public static partial int usrsctp_sysctl_set_sctp_init_rto_max_default(uint value);

    [LibraryImport(Library)]
    public static partial int usrsctp_sysctl_set_sctp_nr_outgoing_streams_default(uint value);

    /// <summary>sockaddr_conn</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Address
    {
        public ushort Family;
        public ushort Port;     // network byte order
        public nint Value;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct Linger
    {
        public int On;
        public int Seconds;
    }

    /// <summary>sctp_event</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct EventChoice
    {
        public uint Association;
        public ushort Type;
        public byte On;
    }

    /// <summary>sctp_assoc_value</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct AssociationValue
    {
        public uint Association;
        public uint Value;
    }

    /// <summary>sctp_initmsg</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct InitMessage
    {
        public ushort OutgoingStreams;
        public ushort MaxIncomingStreams;
        public ushort MaxAttempts;
        public ushort MaxInitTimeout;
    }

    /// <summary>sctp_paddrparams</summary>
    [StructLayout(LayoutKind.Explicit, Size = 152)]
    public struct PeerAddressParameters
    {
        [FieldOffset(0)]
        public Address Address;
        [FieldOffset(128)]
        public uint Association;
        [FieldOffset(132)]
        public uint HeartbeatInterval;
        [FieldOffset(136)]
        public uint PathMtu;
        [FieldOffset(140)]
        public uint Flags;
    }

    public const uint PathMtuDiscoveryDisable = 0x10;
    public const uint HeartbeatDisable = 0x02;

    /// <summary>sctp_sendv_spa</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct SendParameters
    {
        public uint Valid;
        public ushort Stream;
        public ushort Flags;
        public uint PayloadProtocol;    // network byte order
        public uint Context;
        public uint Association;
        public ushort Policy;
        public uint PolicyValue;
        public ushort AuthenticationKey;
    }

    /// <summary>sctp_rcvinfo</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct ReceiveInfo
    {
        public ushort Stream;
        public ushort Sequence;
        public ushort Flags;
        public uint PayloadProtocol;    // network byte order
        public uint Tsn;
        public uint CumulativeTsn;
        public uint Context;
        public uint Association;
    }

    /// <summary>sctp_reset_streams with one stream</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct ResetStream
    {
        public uint Association;
        public ushort Flags;
        public ushort Count;
        public ushort Stream;
    }
}
