using System.Net;

namespace VoicePlatform.MediaServer.Transport;

/// <summary>Where the media port listens and what the clients are told of it.</summary>
internal sealed record TransportOptions
{
    /// <summary>Address the UDP socket is bound to. Default loopback.</summary>
    public IPAddress Bind { get; init; } = IPAddress.Loopback;

    /// <summary>The one UDP port of all peers. Default 7882; 0 lets the system choose.</summary>
    public int UdpPort { get; init; } = 7882;

    /// <summary>Address in the host candidate when clients reach this machine by another one than <see cref="Bind"/>. Default null: <see cref="Bind"/>.</summary>
    public IPAddress? PublicAddress { get; init; }

    /// <summary>How long a peer may stay silent (no valid STUN, no authentic media) before it counts as disconnected. Default 6 s: browsers check every 2.5 s and one check may be lost.</summary>
    public TimeSpan ConsentTimeout { get; init; } = TimeSpan.FromSeconds(6);

    /// <summary>Highest number of peers at a time. Default 2,000.</summary>
    public int MaxPeers { get; init; } = 2_000;
}

/// <summary>The transport cannot start or take another peer. The message is one sentence that says what to do.</summary>
internal sealed class TransportException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>An offer that cannot be understood. The message is one sentence for the client's developer.</summary>
internal sealed class SdpException(string message) : Exception(message);
