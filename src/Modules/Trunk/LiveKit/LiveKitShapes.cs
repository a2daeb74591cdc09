using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.Trunks.Data;

namespace VoicePlatform.Trunks.LiveKit;

/// <summary>What LiveKit is to have of a trunk, and how we know our own again.</summary>
internal sealed class LiveKitShapes(string installation, SecretBox box)
{
    /// <summary>Inbound calls come into rooms of this prefix, each of its own.</summary>
    public const string RoomPrefix = "call-";

    public string MetadataOf(Trunk trunk) => Json.Write(new Mark(trunk.Id, installation, trunk.Register));

    /// <summary>The trunk that something on the server was made for; null for what another made.</summary>
    public string? OwnerOf(string metadata)
    {
        try
        {
            return System.Text.Json.JsonSerializer.Deserialize<Mark>(metadata, Json.Options) is { } mark && mark.Installation == installation ? mark.TrunkId : null;
        }
        catch (System.Text.Json.JsonException)
        {
            return null;
        }
    }

    public SIPOutboundTrunkInfo Outbound(Trunk trunk) => new()
    {
        Name = trunk.Name,
        Metadata = MetadataOf(trunk),
        Address = trunk.Address,
        Transport = trunk.Transport switch
        {
            Transport.Udp => SIPTransport.Udp,
            Transport.Tcp => SIPTransport.Tcp,
            Transport.Tls => SIPTransport.Tls,
            _ => SIPTransport.Auto,
        },
        Numbers = { trunk.Numbers },
        AuthUsername = trunk.AuthUsername,
        AuthPassword = Password(trunk),
        MediaEncryption = Encryption(trunk),
    };

    /// <param name="numbers">All that lead to this trunk.</param>
    public SIPInboundTrunkInfo Inbound(Trunk trunk, IEnumerable<string> numbers) => new()
    {
        Name = trunk.Name,
        Metadata = MetadataOf(trunk),
        Numbers = { numbers.Order(StringComparer.Ordinal) },
        AllowedAddresses = { trunk.AllowedAddresses },
        AuthUsername = trunk.AuthUsername,
        AuthPassword = Password(trunk),
        MediaEncryption = Encryption(trunk),
    };

    public SIPDispatchRuleInfo Rule(Trunk trunk, string livekitTrunkId) => new()
    {
        Name = trunk.Name,
        Metadata = MetadataOf(trunk),
        TrunkIds = { livekitTrunkId },
        Rule = new SIPDispatchRule { DispatchRuleIndividual = new SIPDispatchRuleIndividual { RoomPrefix = RoomPrefix } },
    };

    private string Password(Trunk trunk) => trunk.AuthPassword is { } sealedPassword ? box.Open(sealedPassword, trunk.Id) : "";

    private static SIPMediaEncryption Encryption(Trunk trunk) => trunk.MediaEncryption switch
    {
        MediaEncryption.Require => SIPMediaEncryption.SipMediaEncryptRequire,
        MediaEncryption.Allow => SIPMediaEncryption.SipMediaEncryptAllow,
        _ => SIPMediaEncryption.SipMediaEncryptDisable,
    };

    /// <param name="SipRegister">What the embedded server reads: it has no other field for it.</param>
    private sealed record Mark(string TrunkId, string Installation, bool SipRegister = false);
}
