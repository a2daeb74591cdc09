using System.Net;
using System.Security.Cryptography.X509Certificates;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>Where the SIP user agent listens, what it tells others of itself, and what it bears.</summary>
internal sealed record UserAgentOptions
{
    /// <summary>Address of all SIP sockets. Default loopback.</summary>
    public IPAddress Bind { get; init; } = IPAddress.Loopback;

    /// <summary>UDP and TCP port, the same number for both. Default 5060; 0 lets the system choose.</summary>
    public int Port { get; init; } = 5060;

    /// <summary>TCP port for TLS (5061 by custom); 0 lets the system choose, null: no TLS for incoming connections. Needs <see cref="Certificate"/>.</summary>
    public int? TlsPort { get; init; }

    /// <summary>Certificate with private key that <see cref="TlsPort"/> shows.</summary>
    public X509Certificate2? Certificate { get; init; }

    /// <summary>A certificate that outgoing TLS connections trust in place of the system's authorities; the name is checked all the same. Default null: the system's.</summary>
    public X509Certificate2? TrustedCertificate { get; init; }

    /// <summary>Address in Via and Contact when peers reach this machine by another one than <see cref="Bind"/>. Default null: <see cref="Bind"/>, or with all addresses bound the one that leads to the peer.</summary>
    public IPAddress? PublicAddress { get; init; }

    /// <summary>User-Agent and Server header.</summary>
    public string Product { get; init; } = "VoicePlatform";

    /// <summary>
    /// Whether callers are challenged with SHA-256 as well as MD5 (RFC 8760). Default false: telephones that know MD5 alone do not pass
    /// over the other challenge as they should, but drop the call (baresip 1.0, SIPp 3.6).
    /// </summary>
    public bool ChallengesWithSha256 { get; init; }

    /// <summary>Name server for SRV records; null: the first of /etc/resolv.conf.</summary>
    public IPEndPoint? NameServer { get; init; }

    /// <summary>Calls at once, both directions; more are refused with 503. Default 500.</summary>
    public int MaxCalls { get; init; } = 500;

    /// <summary>New incoming calls a second in all; more are refused with 503. Default 50.</summary>
    public int InvitesPerSecond { get; init; } = 50;

    /// <summary>Requests outside of calls a second from one address (an IPv6 /64 is one address); more are dropped and counted. Bursts may be four times as large. Default 20.</summary>
    public int RequestsPerSecondPerSource { get; init; } = 20;

    /// <summary>Bytes of one message. Default 64 KB.</summary>
    public int MaxMessageBytes { get; init; } = 64 * 1024;

    /// <summary>TCP and TLS connections at once. Default 1,000, of which one address may hold an eighth.</summary>
    public int MaxConnections { get; init; } = 1_000;

    /// <summary>How long a connection may be silent that no call or registration uses. Default 3 min.</summary>
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromMinutes(3);

    /// <summary>How long connecting (TCP and TLS handshake together) may take. Default 10 s.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How often a connection in use is kept open with CRLF (RFC 5626, 3.5.1). Default 25 s.</summary>
    public TimeSpan KeepAlive { get; init; } = TimeSpan.FromSeconds(25);

    /// <summary>How long an incoming call may ring before it is refused with 480. Default 180 s.</summary>
    public TimeSpan AnswerTimeout { get; init; } = TimeSpan.FromSeconds(180);

    /// <summary>Session-Expires that is proposed (RFC 4028). Default 30 min; at least <see cref="MinSessionExpires"/>.</summary>
    public TimeSpan SessionExpires { get; init; } = TimeSpan.FromMinutes(30);

    /// <summary>The shortest Session-Expires that is accepted; RFC 4028 allows no less than its default of 90 s, tests do.</summary>
    public TimeSpan MinSessionExpires { get; init; } = TimeSpan.FromSeconds(90);

    /// <summary>How long stopping waits for calls to be hung up and registrations to be removed. Default 2 s.</summary>
    public TimeSpan StopTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>RFC 3261 T1, the round-trip estimate all retransmission follows. Default 500 ms.</summary>
    public TimeSpan T1 { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>RFC 3261 T2, the longest pause between retransmissions. Default 4 s.</summary>
    public TimeSpan T2 { get; init; } = TimeSpan.FromSeconds(4);

    /// <summary>RFC 3261 T4, how long a message may stay in the network. Default 5 s.</summary>
    public TimeSpan T4 { get; init; } = TimeSpan.FromSeconds(5);
}
