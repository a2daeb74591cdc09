namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>A call to place.</summary>
internal sealed record OutgoingInvite
{
    /// <summary>The request's URI and, unless <see cref="NextHop"/> says otherwise, where it is sent.</summary>
    public required SipUri Target { get; init; }

    /// <summary>An outbound proxy; it takes the request, whose URI stays <see cref="Target"/>.</summary>
    public SipUri? NextHop { get; init; }

    /// <summary>Default null: by the URI (sips, transport parameter), else by SRV records, else UDP.</summary>
    public SipTransport? Transport { get; init; }

    /// <summary>User part of From, the caller's number.</summary>
    public required string FromUser { get; init; }

    /// <summary>Host of From. Default null: our own address.</summary>
    public string? FromHost { get; init; }

    public string? DisplayName { get; init; }

    /// <summary>The To header's URI where it is not <see cref="Target"/>.</summary>
    public SipUri? To { get; init; }

    public string? AuthUsername { get; init; }

    public string? AuthPassword { get; init; }

    /// <summary>Further headers, such as <c>X-…</c> or <c>P-Asserted-Identity</c>; those the call itself needs are refused.</summary>
    public IReadOnlyList<(string Name, string Value)> Headers { get; init; } = [];

    /// <summary>The SDP offer.</summary>
    public required string Offer { get; init; }

    /// <summary>From sending to the answer; then it is cancelled. Default 80 s.</summary>
    public TimeSpan RingingTimeout { get; init; } = TimeSpan.FromSeconds(80);

    /// <summary>70 for a call of our own; one less than the caller's for a call that is passed on (RFC 7332).</summary>
    public int MaxForwards { get; init; } = 70;
}

/// <summary>A number or account to register at a registrar.</summary>
internal sealed record RegistrationOptions
{
    /// <summary>Whom to register with; its transport parameter decides the transport.</summary>
    public required SipUri Registrar { get; init; }

    public SipTransport? Transport { get; init; }

    /// <summary>User part of the address of record and of the contact.</summary>
    public required string User { get; init; }

    /// <summary>Host of the address of record. Default null: the registrar's.</summary>
    public string? Domain { get; init; }

    /// <summary>Default null: <see cref="User"/>.</summary>
    public string? AuthUsername { get; init; }

    public string? AuthPassword { get; init; }

    /// <summary>What is asked for; the registrar decides. Default 1 h.</summary>
    public TimeSpan Expires { get; init; } = TimeSpan.FromHours(1);

    /// <summary>Pause after a failure, doubled up to sixteen times that. Default 30 s.</summary>
    public TimeSpan RetryAfter { get; init; } = TimeSpan.FromSeconds(30);
}

internal enum RegistrationState
{
    Registering,
    Registered,

    /// <summary>The last attempt failed; another follows.</summary>
    Failed,

    Unregistered,
}
