using System.Net;

namespace VoicePlatform.Tenants;

internal enum KeyCreation { Open, Bootstrap, Closed }

internal sealed class TenantOptions
{
    /// <summary>Who may POST /auth/create-key (KEY_CREATION): open in development, else bootstrap (the first key only).</summary>
    public KeyCreation KeyCreation { get; private set; }

    /// <summary>The operator's key (PLATFORM_ADMIN_KEY); null switches the platform scope off.</summary>
    public string? PlatformAdminKey { get; private set; }

    /// <summary>Private ranges that webhooks may reach (OUTBOUND_ALLOW_PRIVATE, comma-separated CIDR): loopback in development, else none.</summary>
    public IReadOnlyList<IPNetwork> AllowedPrivate { get; private set; } = [];

    public void Read(IConfiguration configuration, bool isDevelopment)
    {
        KeyCreation = configuration["KEY_CREATION"] switch
        {
            null or "" => isDevelopment ? KeyCreation.Open : KeyCreation.Bootstrap,
            "open" => KeyCreation.Open,
            "bootstrap" => KeyCreation.Bootstrap,
            "closed" => KeyCreation.Closed,
            var other => throw new InvalidOperationException($"KEY_CREATION is '{other}'; set it to open, bootstrap or closed."),
        };
        PlatformAdminKey = configuration["PLATFORM_ADMIN_KEY"] is { Length: > 0 } key ? key : null;
        AllowedPrivate = (configuration["OUTBOUND_ALLOW_PRIVATE"] ?? (isDevelopment ? "127.0.0.0/8,::1/128" : ""))
            .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(range => IPNetwork.TryParse(range, out var network)
                ? network
                : throw new InvalidOperationException($"OUTBOUND_ALLOW_PRIVATE has '{range}'; write ranges like 10.0.0.0/8, separated by commas."))
            .ToList();
    }
}
