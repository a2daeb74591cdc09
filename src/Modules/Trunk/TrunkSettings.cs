using VoicePlatform.Trunks.Data;

namespace VoicePlatform.Trunks;

/// <summary>A trunk as its owner writes it.</summary>
internal record TrunkSettings
{
    public required string Name { get; init; }
    public TrunkType Type { get; init; } = TrunkType.Generic;
    public TrunkDirection Direction { get; init; } = TrunkDirection.Outbound;

    /// <summary>host[:port]; outbound trunks only.</summary>
    public string Address { get; init; } = "";
    public Transport Transport { get; init; } = Transport.Auto;

    /// <summary>E.164. Outbound: what calls may show. Inbound: what the provider sends here; routed numbers are added by themselves.</summary>
    public IReadOnlyList<string> Numbers { get; init; } = [];
    public TrunkAuth? Auth { get; init; }

    /// <summary>
    /// Outbound: stay registered at the address with username and password, for providers that send calls only to who is. The embedded
    /// media server does; LiveKit's own SIP service has no such thing.
    /// </summary>
    public bool Register { get; init; }
    public MediaEncryption MediaEncryption { get; init; } = MediaEncryption.Disable;

    /// <summary>Addresses or CIDR ranges from which an inbound trunk takes calls; none: from anywhere.</summary>
    public IReadOnlyList<string> AllowedAddresses { get; init; } = [];

    /// <summary>1 to 10,000; null: no limit.</summary>
    public int? MaxConcurrent { get; init; }

    /// <summary>0.01 to 1,000; null: no limit. Twilio, say, gives a trunk one a second unless asked.</summary>
    public double? CallsPerSecond { get; init; }

    public static TrunkSettings Of(Trunk t) => new()
    {
        Name = t.Name,
        Type = t.Type,
        Direction = t.Direction,
        Address = t.Address,
        Transport = t.Transport,
        Numbers = t.Numbers,
        Auth = t.AuthUsername.Length == 0 && t.AuthPassword is null ? null : new(t.AuthUsername, t.AuthPassword is null ? null : Mask.Text),
        Register = t.Register,
        MediaEncryption = t.MediaEncryption,
        AllowedAddresses = t.AllowedAddresses,
        MaxConcurrent = t.MaxConcurrent,
        CallsPerSecond = t.CallsPerSecond,
    };
}

/// <summary>Saves a new trunk, by whichever door it came. The settings are as their sender wrote them.</summary>
internal sealed record NewTrunk(System.Text.Json.JsonElement Settings) : ICommand<TrunkView>;

/// <param name="Password">Write-only.</param>
internal sealed record TrunkAuth(string? Username = null, string? Password = null);
