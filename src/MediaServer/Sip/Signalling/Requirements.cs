namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>What a request demands of whoever answers it.</summary>
internal static class Requirements
{
    /// <summary>The required extensions we do not have, for an Unsupported header (RFC 3261, 8.2.2.3); empty when there are none.</summary>
    public static string Unsupported(SipRequest request) =>
        request.Method is "ACK" or "CANCEL" ? "" : string.Join(", ", request.Headers.Values("Require").Where(r => !r.Equals("timer", StringComparison.OrdinalIgnoreCase)));

    /// <summary>RFC 4028, 9: refused with 422, unless the peer could not make sense of it.</summary>
    public static bool IsSessionTooShort(SipRequest request, UserAgentOptions options) =>
        SessionExpires.Of(request) is { } asked && asked.Interval < options.MinSessionExpires && request.Headers.Lists("Supported", "timer");

    public static string Seconds(TimeSpan time) => ((long)Math.Ceiling(time.TotalSeconds)).ToString();
}
