namespace VoicePlatform.Calls;

internal sealed class CallOptions
{
    /// <summary>Calls that one tenant may have up at a time (CALLS_MAX_CONCURRENT_PER_TENANT).</summary>
    public int MaxConcurrentPerTenant { get; private set; }

    /// <summary>Calls that this process dials at a time (CALLS_DIALING_AT_ONCE).</summary>
    public int DialingAtOnce { get; private set; }

    /// <summary>How telephones are called in rooms, before their number (TELEPHONY_SIP_IDENTITY_PREFIX).</summary>
    public string IdentityPrefix { get; private set; } = "";

    /// <summary>Whether seed 001's webhook route answers (TELEPHONY_ENABLED).</summary>
    public bool IsSeed001Enabled { get; private set; }

    /// <summary>Seed 001: anybody who joins is attended, telephone or not (TELEPHONY_DISPATCH_ON_ANY_PARTICIPANT_JOIN).</summary>
    public bool AttendsAnybody { get; private set; }

    /// <summary>Seed 001's own key for its webhook (LIVEKIT_WEBHOOK_API_KEY, _SECRET); null: the media server's.</summary>
    public string? WebhookKey { get; private set; }
    public string? WebhookSecret { get; private set; }

    public bool IsProduction { get; private set; }

    public string DataDir { get; private set; } = "";

    public string PublicUrl { get; private set; } = "";

    public void Read(IConfiguration configuration, bool isProduction)
    {
        MaxConcurrentPerTenant = configuration.GetValue<int?>("CALLS_MAX_CONCURRENT_PER_TENANT") ?? 10;
        DialingAtOnce = configuration.GetValue<int?>("CALLS_DIALING_AT_ONCE") ?? 100;
        IdentityPrefix = configuration["TELEPHONY_SIP_IDENTITY_PREFIX"] is { Length: > 0 } prefix ? prefix : "sip_";
        IsSeed001Enabled = configuration.GetValue<bool?>("TELEPHONY_ENABLED") ?? true;
        AttendsAnybody = configuration.GetValue<bool?>("TELEPHONY_DISPATCH_ON_ANY_PARTICIPANT_JOIN") ?? false;
        WebhookKey = configuration["LIVEKIT_WEBHOOK_API_KEY"] is { Length: > 0 } key ? key : null;
        WebhookSecret = configuration["LIVEKIT_WEBHOOK_API_SECRET"] is { Length: > 0 } secret ? secret : null;
        if ((WebhookKey is null) != (WebhookSecret is null))
        {
            throw new InvalidOperationException("LIVEKIT_WEBHOOK_API_KEY and LIVEKIT_WEBHOOK_API_SECRET belong together: set both or neither.");
        }

        if (MaxConcurrentPerTenant < 1 || DialingAtOnce < 1)
        {
            throw new InvalidOperationException("CALLS_MAX_CONCURRENT_PER_TENANT and CALLS_DIALING_AT_ONCE must be at least 1.");
        }

        IsProduction = isProduction;
        DataDir = configuration["DATA_DIR"] ?? ".data";
        PublicUrl = (configuration["PUBLIC_URL"] ?? "http://127.0.0.1:8000").TrimEnd('/');
    }
}
