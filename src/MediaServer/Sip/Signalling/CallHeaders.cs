namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>Headers that come from outside the user agent: from settings, from the API, from a tenant.</summary>
internal static class CallHeaders
{
    private static readonly HashSet<string> OfTheCall = new(StringComparer.OrdinalIgnoreCase)
    {
        "Via", "From", "To", "Call-ID", "CSeq", "Contact", "Max-Forwards", "Route", "Record-Route", "Content-Length", "Content-Type",
        "Content-Encoding", "Require", "Proxy-Require", "Supported", "Allow", "Session-Expires", "Min-SE", "Authorization",
        "Proxy-Authorization", "WWW-Authenticate", "Proxy-Authenticate", "RSeq", "RAck", "Event", "Subscription-State", "Refer-To",
    };

    /// <exception cref="SipException">One of them is no header, or one the call itself writes.</exception>
    public static void Check(IEnumerable<(string Name, string Value)> headers)
    {
        foreach (var (name, value) in headers)
        {
            if (!HeaderText.IsToken(name) || !HeaderText.IsSafe(value))
            {
                throw new SipException($"'{(HeaderText.IsToken(name) ? name : "?")}' is no valid SIP header.");
            }

            if (OfTheCall.Contains(SipHeaders.LongName(name)))
            {
                throw new SipException($"The SIP header '{name}' is the call's own and cannot be set.");
            }
        }
    }

    public static void AddTo(SipMessage message, IEnumerable<(string Name, string Value)>? headers)
    {
        foreach (var (name, value) in headers ?? [])
        {
            message.Headers.Add(name, value);
        }
    }
}
