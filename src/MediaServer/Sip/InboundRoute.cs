using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Rooms;
using VoicePlatform.MediaServer.Sip.Media;
using VoicePlatform.MediaServer.Sip.Signalling;

namespace VoicePlatform.MediaServer.Sip;

/// <summary>Where a call that came in belongs.</summary>
internal sealed record InboundRoute
{
    private static readonly byte[] StandInKey = RandomNumberGenerator.GetBytes(32);

    public required string CallId { get; init; }

    public required string Identity { get; init; }

    public required string Name { get; init; }

    /// <summary>The caller as rooms are named by it: the number, or a stand-in for one that is hidden.</summary>
    public required string Caller { get; init; }

    public required string Callee { get; init; }

    /// <summary>The rule; several where the caller's PIN decides.</summary>
    public required IReadOnlyList<SIPDispatchRuleInfo> Rules { get; init; }

    /// <summary>Of the participant, but for those of the rule.</summary>
    public required IReadOnlyDictionary<string, string> Attributes { get; init; }

    /// <summary>Of our answer.</summary>
    public required IReadOnlyList<(string Name, string Value)> AnswerHeaders { get; init; }

    public required PhoneSessionOptions Media { get; init; }

    public TimeSpan? RingingTimeout { get; init; }

    public TimeSpan? MaxDuration { get; init; }

    public static InboundRoute Of(IncomingCall call, SIPInboundTrunkInfo trunk, IReadOnlyList<SIPDispatchRuleInfo> rules)
    {
        var callId = Sid.SipCall();
        var (from, to) = (call.From.Uri.User, call.RequestUri.User);
        var hidden = rules[0].HidePhoneNumber;
        var caller = hidden ? StandIn(from) : from;
        var attributes = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            [SipAttributes.CallId] = callId,
            [SipAttributes.CallIdFull] = call.CallId,
            [SipAttributes.CallTag] = call.LocalTag,
            [SipAttributes.HostName] = call.From.Uri.Host,
            [SipAttributes.TrunkId] = trunk.SipTrunkId,
        };
        if (!hidden)
        {
            attributes[SipAttributes.PhoneNumber] = from;
            attributes[SipAttributes.TrunkPhoneNumber] = to;
        }

        SipAttributes.AddHeaders(attributes, call.Headers, trunk.IncludeHeaders, trunk.HeadersToAttributes);
        return new InboundRoute
        {
            CallId = callId,
            Identity = $"sip_{caller}",
            Name = $"Phone {caller}",
            Caller = caller,
            Callee = to,
            Rules = rules,
            Attributes = attributes,
            AnswerHeaders = [.. trunk.Headers.Select(h => (h.Key, h.Value)), .. SipAttributes.ToHeaders(attributes, trunk.AttributesToHeaders)],
            Media = MediaTerms.Of([rules[0].Media, trunk.Media], [rules[0].MediaEncryption, trunk.MediaEncryption]),
            RingingTimeout = MediaTerms.Of(trunk.RingingTimeout),
            MaxDuration = MediaTerms.Of(trunk.MaxCallDuration),
        };
    }

    /// <summary>The room that a rule leads this call to.</summary>
    public string RoomOf(SIPDispatchRule rule) => rule.RuleCase switch
    {
        SIPDispatchRule.RuleOneofCase.DispatchRuleDirect => rule.DispatchRuleDirect.RoomName,
        SIPDispatchRule.RuleOneofCase.DispatchRuleCallee => Join(rule.DispatchRuleCallee.RoomPrefix, Callee, rule.DispatchRuleCallee.Randomize),
        _ => Join(rule.DispatchRuleIndividual.RoomPrefix, Caller, !rule.DispatchRuleIndividual.NoRandomness),
    };

    private static string Join(string prefix, string number, bool random) =>
        string.Join('_', new[] { prefix, number, random ? Sid.Secret(12) : "" }.Where(part => part.Length > 0));

    // The same caller gets the same stand-in for as long as the server runs, and numbers cannot be tried against it.
    private static string StandIn(string number) =>
        Convert.ToHexString(HMACSHA256.HashData(StandInKey, Encoding.UTF8.GetBytes(number)))[..8].ToLower(CultureInfo.InvariantCulture);
}
