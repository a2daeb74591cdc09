namespace VoicePlatform.MediaServer;

/// <summary>The sizes this server accepts; those LiveKit documents, and bounds for what it leaves open.</summary>
internal static class Limits
{
    /// <summary>Characters of a room name, an identity or a participant's name.</summary>
    public const int NameLength = 256;

    /// <summary>Bytes (UTF-8) of a room's or participant's metadata.</summary>
    public const int MetadataBytes = 512 * 1024;

    /// <summary>Bytes (UTF-8) of all attribute keys and values of a participant.</summary>
    public const int AttributesBytes = 64 * 1024;

    /// <summary>Bytes of one signal message from a client: metadata at its largest and room around it.</summary>
    public const int SignalMessageBytes = 1024 * 1024;

    /// <summary>Bytes of one message from a worker.</summary>
    public const int WorkerMessageBytes = 1024 * 1024;

    /// <summary>Bytes of a server API request, as in LiveKit.</summary>
    public const int RequestBytes = 10 * 1024 * 1024;

    /// <summary>Bytes of the join request after decompression.</summary>
    public const int JoinRequestBytes = 1024 * 1024;

    /// <summary>Tracks one participant may publish.</summary>
    public const int TracksPerParticipant = 32;

    /// <summary>Messages waiting for one client's socket; a client further behind is cut off and may resume.</summary>
    public const int SignalQueue = 1024;

    /// <summary>Work waiting for one room.</summary>
    public const int RoomMailbox = 8192;

    /// <summary>Bytes waiting for one client's socket, more than one message of them.</summary>
    public const int SignalQueueBytes = 16 * 1024 * 1024;

    /// <summary>Data messages of one participant on their way to its room; further ones wait at the sender.</summary>
    public const int DataMessagesUnderway = 128;

    /// <summary>Bytes of the same.</summary>
    public const int DataBytesUnderway = 1024 * 1024;

    /// <summary>Requests and sockets open at a time on the signalling port.</summary>
    public const int Connections = 10_000;

    /// <summary>Bytes a stored or waiting data message counts for, beyond its own.</summary>
    public const int MessageOverhead = 128;

    /// <summary>Bytes of an RPC payload, as in LiveKit's clients.</summary>
    public const int RpcPayloadBytes = 15 * 1024;
}
