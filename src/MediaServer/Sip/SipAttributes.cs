using VoicePlatform.LiveKit.Protocol;

namespace VoicePlatform.MediaServer.Sip;

/// <summary>The participant attributes by which LiveKit tells of a telephone leg.</summary>
internal static class SipAttributes
{
    public const string CallId = "sip.callID";

    /// <summary>The Call-ID header, once the other side has answered.</summary>
    public const string CallIdFull = "sip.callIDFull";

    public const string CallTag = "sip.callTag";
    public const string CallStatus = "sip.callStatus";
    public const string HostName = "sip.hostname";
    public const string PhoneNumber = "sip.phoneNumber";
    public const string RuleId = "sip.ruleID";
    public const string TrunkId = "sip.trunkID";
    public const string TrunkPhoneNumber = "sip.trunkPhoneNumber";

    /// <summary>Not LiveKit's: "true" while the other side has put us on hold.</summary>
    public const string OnHold = "sip.hold";

    private const string HeaderPrefix = "sip.h.";
    private const int MaxMapped = 64;
    private const int MaxValue = 1024;

    /// <summary>What a leg's other side said in its headers, as the trunk wants it told.</summary>
    public static void AddHeaders(
        IDictionary<string, string> attributes,
        IEnumerable<(string Name, string Value)> headers,
        SIPHeaderOptions include,
        IReadOnlyDictionary<string, string> map)
    {
        foreach (var (name, value) in headers)
        {
            if (attributes.Count >= MaxMapped || value.Length > MaxValue)
            {
                continue;
            }

            if (map.FirstOrDefault(pair => pair.Key.Equals(name, StringComparison.OrdinalIgnoreCase)).Value is { Length: > 0 } attribute)
            {
                attributes[attribute] = value;
            }

            var isOwn = name.StartsWith("X-", StringComparison.OrdinalIgnoreCase);
            if (include is SIPHeaderOptions.SipAllHeaders || (include is SIPHeaderOptions.SipXHeaders && isOwn))
            {
                attributes[HeaderPrefix + name.ToLowerInvariant()] = value;
            }

            if (name.Equals("X-Twilio-CallSid", StringComparison.OrdinalIgnoreCase))
            {
                attributes["sip.twilio.callSid"] = value;
            }
            else if (name.Equals("X-Twilio-AccountSid", StringComparison.OrdinalIgnoreCase))
            {
                attributes["sip.twilio.accountSid"] = value;
            }
        }
    }

    /// <summary>The headers that carry attributes to the other side.</summary>
    public static IEnumerable<(string Name, string Value)> ToHeaders(IReadOnlyDictionary<string, string> attributes, IReadOnlyDictionary<string, string> map) =>
        from pair in map
        where attributes.ContainsKey(pair.Key)
        select (pair.Value, attributes[pair.Key]);
}

/// <summary>Values of <see cref="SipAttributes.CallStatus"/>.</summary>
internal static class SipCallStatusName
{
    public const string Dialing = "dialing";
    public const string Ringing = "ringing";
    public const string Automation = "automation";
    public const string Active = "active";
    public const string Hangup = "hangup";
}
