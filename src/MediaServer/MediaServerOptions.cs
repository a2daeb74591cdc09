using System.Net;

namespace VoicePlatform.MediaServer;

/// <summary>Settings of the embedded LiveKit-compatible server.</summary>
public sealed record MediaServerOptions
{
    /// <summary>API key to secret. At least one; the first signs webhooks and agent tokens.</summary>
    public required IReadOnlyDictionary<string, string> ApiKeys { get; init; }

    /// <summary>Address of the signalling and server API port and of the media port.</summary>
    public IPAddress Bind { get; init; } = IPAddress.Loopback;

    /// <summary>TCP port for signalling, server API and workers; 0: any free one.</summary>
    public int Port { get; init; } = 7880;

    /// <summary>UDP port for all WebRTC media; 0: any free one.</summary>
    public int MediaUdpPort { get; init; } = 7882;

    /// <summary>The address clients are told to send media to; null: <see cref="Bind"/>.</summary>
    public IPAddress? PublicAddress { get; init; }

    /// <summary>Telephony; null: this server has none.</summary>
    public SipOptions? Sip { get; init; }

    /// <summary>Recordings; null: this server makes none.</summary>
    public RecordingOptions? Recordings { get; init; }

    /// <summary>Where webhooks are posted; each gets every event.</summary>
    public IReadOnlyList<Uri> WebhookUrls { get; init; } = [];

    /// <summary>How long a room waits for its first participant.</summary>
    public TimeSpan EmptyTimeout { get; init; } = TimeSpan.FromSeconds(300);

    /// <summary>How long a room stays after the last participant left.</summary>
    public TimeSpan DepartureTimeout { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Participants in a room that did not say its own limit; 0: no limit.</summary>
    public uint MaxParticipants { get; init; }

    /// <summary>Whether joining a room that does not exist creates it; otherwise only a token with <c>roomCreate</c> does.</summary>
    public bool AutoCreateRooms { get; init; } = true;

    /// <summary>Whether the server API may unmute a participant's track; muting is always allowed.</summary>
    public bool EnableRemoteUnmute { get; init; }

    /// <summary>How long after joining a participant's media connection must stand.</summary>
    public TimeSpan JoinTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a participant is kept whose media connection, or whose signalling without media, was lost.</summary>
    public TimeSpan ReconnectGrace { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>How long a participant is kept whose signalling was lost while its media goes on.</summary>
    public TimeSpan SignalGrace { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How long a worker may take to say whether it accepts a job.</summary>
    public TimeSpan AvailabilityTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long stopping waits for undelivered webhooks.</summary>
    public TimeSpan WebhookFlushTimeout { get; init; } = TimeSpan.FromSeconds(3);
}

/// <summary>Settings of the embedded server's telephony.</summary>
public sealed record SipOptions
{
    /// <summary>UDP and TCP port for SIP; 0: any free one.</summary>
    public int Port { get; init; } = 5060;

    /// <summary>First and last UDP port for telephones' audio; (0, 0): any.</summary>
    public (int First, int Last) RtpPorts { get; init; } = (10_000, 10_200);
}

/// <summary>Settings of the embedded server's recordings.</summary>
public sealed record RecordingOptions
{
    /// <summary>Folder under which recordings are kept; their paths are relative to it.</summary>
    public required string Root { get; init; }

    /// <summary>Access key for recordings that a server left unfinished and that belong into object storage.</summary>
    public string? StorageKey { get; init; }

    /// <summary>Its secret.</summary>
    public string? StorageSecret { get; init; }
}
