using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Sip.Media;
using VoicePlatform.MediaServer.Sip.Signalling;
using Duration = Google.Protobuf.WellKnownTypes.Duration;

namespace VoicePlatform.MediaServer.Sip;

/// <summary>From LiveKit's words for transports, durations, codecs and encryption to ours.</summary>
internal static class MediaTerms
{
    // No timer takes 50 days.
    private static readonly TimeSpan Longest = TimeSpan.FromDays(49);

    /// <summary>Null when none is given.</summary>
    public static TimeSpan? Of(Duration? given) =>
        given is not { Seconds: > 0 } ? null : given.Seconds >= Longest.TotalSeconds ? Longest : given.ToTimeSpan();

    public static SipTransport? Of(SIPTransport transport) => transport switch
    {
        SIPTransport.Udp => SipTransport.Udp,
        SIPTransport.Tcp => SipTransport.Tcp,
        SIPTransport.Tls => SipTransport.Tls,
        _ => null,
    };

    /// <param name="configs">The most particular first: the call's, the rule's, the trunk's.</param>
    /// <param name="encryptions">The older fields of the same, in the same order.</param>
    public static PhoneSessionOptions Of(IEnumerable<SIPMediaConfig?> configs, IEnumerable<SIPMediaEncryption> encryptions)
    {
        var known = configs.OfType<SIPMediaConfig>().ToList();
        var encryption = known.FirstOrDefault(config => config.HasEncryption)?.Encryption
            ?? encryptions.FirstOrDefault(e => e is not SIPMediaEncryption.SipMediaEncryptDisable);
        var codecs = known.FirstOrDefault(config => config.Codecs.Count > 0 || config.OnlyListedCodecs);
        var timeout = Of(known.FirstOrDefault(config => config.MediaTimeout is { Seconds: > 0 })?.MediaTimeout);
        var options = new PhoneSessionOptions
        {
            Encryption = encryption switch
            {
                SIPMediaEncryption.SipMediaEncryptAllow => MediaEncryption.Allow,
                SIPMediaEncryption.SipMediaEncryptRequire => MediaEncryption.Require,
                _ => MediaEncryption.Disable,
            },
            Codecs = codecs is null ? null : ListOf(codecs),
        };
        return timeout is { } given ? options with { MediaTimeout = given } : options;
    }

    private static List<PhoneCodec> ListOf(SIPMediaConfig config)
    {
        var listed = config.Codecs.Select(codec => CodecOf(codec.Name)).OfType<PhoneCodec>().Distinct().ToList();
        return config.OnlyListedCodecs ? listed : [.. listed, .. Enum.GetValues<PhoneCodec>().Except(listed)];
    }

    private static PhoneCodec? CodecOf(string name) => name.ToUpperInvariant() switch
    {
        "OPUS" => PhoneCodec.Opus,
        "G722" => PhoneCodec.G722,
        "PCMU" => PhoneCodec.Pcmu,
        "PCMA" => PhoneCodec.Pcma,
        _ => null,
    };
}
