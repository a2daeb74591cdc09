namespace VoicePlatform.Trunks.Data;

internal enum TrunkType { Twilio, Exotel, Telnyx, Plivo, Generic }

internal enum TrunkDirection { Outbound, Inbound }

internal enum Transport { Auto, Udp, Tcp, Tls }

internal enum MediaEncryption { Disable, Allow, Require }

internal sealed class Trunk
{
    public string Id { get; private init; } = "";
    public string TenantId { get; private init; } = "";
    public string Name { get; private set; } = "";
    public TrunkType Type { get; private set; }
    public TrunkDirection Direction { get; private set; }

    /// <summary>host[:port] of the provider; empty on an inbound trunk.</summary>
    public string Address { get; private set; } = "";
    public Transport Transport { get; private set; }
    public List<string> Numbers { get; private set; } = [];
    public string AuthUsername { get; private set; } = "";

    /// <summary>Sealed for this trunk's id.</summary>
    public byte[]? AuthPassword { get; private set; }

    /// <summary>The media server keeps itself registered at the provider (REGISTER).</summary>
    public bool Register { get; private set; }
    public MediaEncryption MediaEncryption { get; private set; }
    public List<string> AllowedAddresses { get; private set; } = [];
    public int? MaxConcurrent { get; private set; }
    public double? CallsPerSecond { get; private set; }
    public int Revision { get; private set; }

    /// <summary>What LiveKit has; the sync alone writes this and the next four.</summary>
    public int SyncedRevision { get; private set; }
    public DateTimeOffset SyncAfter { get; private set; }
    public string? SyncError { get; private set; }
    public string? LivekitTrunkId { get; private set; }
    public string? LivekitRuleId { get; private set; }
    public DateTimeOffset CreatedAt { get; private init; }
    public DateTimeOffset UpdatedAt { get; private set; }
    public DateTimeOffset? DeletedAt { get; private set; }

    public static Trunk Create(string tenantId, TrunkSettings settings, SecretBox box, DateTimeOffset now)
    {
        var trunk = new Trunk { Id = Ids.New(Ids.Trunk, now), TenantId = tenantId, CreatedAt = now };
        trunk.Change(settings, box, now);
        return trunk;
    }

    public void Change(TrunkSettings settings, SecretBox box, DateTimeOffset now)
    {
        (Name, Type, Direction, Address, Transport) = (settings.Name, settings.Type, settings.Direction, settings.Address, settings.Transport);
        (Numbers, AllowedAddresses) = ([.. settings.Numbers], [.. settings.AllowedAddresses]);
        (MediaEncryption, MaxConcurrent, CallsPerSecond) = (settings.MediaEncryption, settings.MaxConcurrent, settings.CallsPerSecond);
        Register = settings.Register;
        AuthUsername = settings.Auth?.Username ?? "";
        AuthPassword = settings.Auth?.Password switch
        {
            null or "" => null,
            Mask.Text => AuthPassword,     // As it was read: no rule lets a sender write it.
            var password => box.Seal(password, Id),
        };
        Touch(now);
    }

    /// <summary>Something that LiveKit is to learn has changed: the trunk or a number on it.</summary>
    public void Touch(DateTimeOffset now) => (Revision, SyncAfter, UpdatedAt) = (Revision + 1, now, now);

    public void Delete(DateTimeOffset now)
    {
        DeletedAt = now;
        Touch(now);
    }
}

internal sealed class PhoneNumber
{
    public string Id { get; private init; } = "";
    public string TenantId { get; private init; } = "";

    /// <summary>E.164.</summary>
    public string Number { get; private init; } = "";
    public string TrunkId { get; private set; } = "";
    public string AssistantId { get; private set; } = "";
    public string Name { get; private set; } = "";

    /// <summary>Asked for variables and metadata before a call is taken.</summary>
    public string? ContextUrl { get; private set; }
    public int Revision { get; private set; }
    public DateTimeOffset CreatedAt { get; private init; }
    public DateTimeOffset UpdatedAt { get; private set; }
    public DateTimeOffset? DeletedAt { get; private set; }

    public static PhoneNumber Route(string tenantId, string number, string trunkId, string assistantId, string name, string? contextUrl, DateTimeOffset now)
    {
        var routed = new PhoneNumber { Id = Ids.New(Ids.Number, now), TenantId = tenantId, Number = number, CreatedAt = now };
        routed.Change(trunkId, assistantId, name, contextUrl, now);
        return routed;
    }

    public void Change(string trunkId, string assistantId, string name, string? contextUrl, DateTimeOffset now) =>
        (TrunkId, AssistantId, Name, ContextUrl, Revision, UpdatedAt) = (trunkId, assistantId, name, contextUrl, Revision + 1, now);

    public void Delete(DateTimeOffset now) => (DeletedAt, UpdatedAt, Revision) = (now, now, Revision + 1);
}
