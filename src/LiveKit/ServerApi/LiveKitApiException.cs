using System.Globalization;
using System.Net;

namespace VoicePlatform.LiveKit.ServerApi;

/// <summary>A call of LiveKit's server API that did not succeed.</summary>
public sealed class LiveKitApiException : Exception
{
    internal LiveKitApiException(
        string code,
        string message,
        HttpStatusCode? status = null,
        IReadOnlyDictionary<string, string>? meta = null,
        Exception? cause = null)
        : base(message, cause) => (Code, Status, Meta) = (code, status, meta ?? new Dictionary<string, string>(StringComparer.Ordinal));

    /// <summary>The Twirp code, e.g. <c>not_found</c>; <c>unavailable</c> or <c>deadline_exceeded</c> when there was no answer.</summary>
    public string Code { get; }

    /// <summary>Null when there was no answer.</summary>
    public HttpStatusCode? Status { get; }

    public IReadOnlyDictionary<string, string> Meta { get; }

    /// <summary>False when the request may have taken effect although we were not told: a time-out, a broken connection.</summary>
    public bool OutcomeKnown => Status is not null and not (HttpStatusCode.BadGateway or HttpStatusCode.GatewayTimeout);

    /// <summary>The SIP answer behind the failure, e.g. 486, if there was one.</summary>
    public int? SipStatusCode =>
        Meta.TryGetValue("sip_status_code", out var code) && int.TryParse(code, NumberStyles.None, CultureInfo.InvariantCulture, out var value)
            ? value
            : null;

    /// <summary>The SIP answer's words, e.g. "Busy Here".</summary>
    public string? SipStatus => Meta.GetValueOrDefault("sip_status");

    /// <summary>Whether the same request may succeed a little later. A callee's answer (busy, declined) is never retryable.</summary>
    public bool IsRetryable => SipStatusCode is null
        && (Code is "unavailable" or "deadline_exceeded" || Status is HttpStatusCode.TooManyRequests or HttpStatusCode.BadGateway
            or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout);
}
