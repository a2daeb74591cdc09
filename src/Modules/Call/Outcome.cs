using VoicePlatform.Calls.Data;
using VoicePlatform.LiveKit.ServerApi;

namespace VoicePlatform.Calls;

/// <summary>What came of a call or of one attempt. The words are public vocabulary, never renamed.</summary>
/// <param name="Cause">One word for what happened.</param>
/// <param name="Fault">Whose doing it was; null when nobody's.</param>
internal sealed record Outcome(CallStatus Status, string Cause, Fault? Fault = null, int? SipStatusCode = null, string? SipReason = null)
{
    // LiveKit's clock and ours are not the same; a ring that ended this much before its time is still the ring's time-out.
    private static readonly TimeSpan Tolerance = TimeSpan.FromSeconds(1);

    public static readonly Outcome Canceled = new(CallStatus.Canceled, "requested");
    public static readonly Outcome Expired = new(CallStatus.Failed, "expired", Data.Fault.Platform);

    /// <summary>A host died or an answer was lost: the number may have rung, so it is not rung again.</summary>
    public static readonly Outcome Unknown = new(CallStatus.Failed, "unknown_outcome", Data.Fault.Platform);

    /// <summary>Whether a telephone's answer, or its silence, ended it: only then another attempt may follow.</summary>
    public bool IsRetryable => Status is CallStatus.Busy or CallStatus.NoAnswer;

    /// <param name="rang">Since the request was sent.</param>
    public static Outcome Of(LiveKitApiException e, TimeSpan rang, TimeSpan ringTimeout)
    {
        if (e.SipStatusCode is { } code)
        {
            var isTimeUp = rang >= ringTimeout - Tolerance;
            return (code, e.Code) switch
            {
                // The status that stands for no response at all (RFC 3261 §8.1.3.1); a carrier's own 408 is a deadline of its.
                (408, "unavailable") => new(CallStatus.Failed, "carrier_unreachable", Data.Fault.Carrier, code, e.SipStatus),

                // Nobody here cancelled it.
                (487, not "canceled") when !isTimeUp => new(CallStatus.Failed, "terminated", Data.Fault.Carrier, code, e.SipStatus),
                _ => OfSip(code, e.SipStatus, isTimeUp),
            };
        }

        // Time is up without a final answer of the carrier's: LiveKit gave up ringing.
        if (e.OutcomeKnown && e.Code is "deadline_exceeded" && rang >= ringTimeout - Tolerance)
        {
            return new(CallStatus.NoAnswer, "no_answer", Data.Fault.Callee);
        }

        return e.OutcomeKnown && e.Code is not ("deadline_exceeded" or "unavailable" or "internal" or "unknown" or "malformed" or "canceled" or "aborted")
            ? new(CallStatus.Failed, "media_server_refused", Data.Fault.Platform, null, e.Message)
            : Unknown with { SipReason = e.Message };
    }

    /// <summary>SIP's final answers (RFC 3261 §21, RFC 8197, RFC 8688) in our words.</summary>
    /// <param name="isTimeUp">The ring time-out is over: a cancelled request means that nobody answered.</param>
    public static Outcome OfSip(int code, string? reason, bool isTimeUp)
    {
        var (status, cause, fault) = code switch
        {
            486 or 600 => (CallStatus.Busy, "busy", Data.Fault.Callee),
            408 or 480 => (CallStatus.NoAnswer, "no_answer", Data.Fault.Callee),
            487 when isTimeUp => (CallStatus.NoAnswer, "no_answer", Data.Fault.Callee),
            487 => (CallStatus.Failed, "terminated", Data.Fault.Platform),
            603 or 607 or 608 => (CallStatus.Rejected, "declined", Data.Fault.Callee),
            404 or 410 or 484 or 485 or 604 => (CallStatus.Failed, "wrong_number", Data.Fault.Callee),
            301 or 302 or 305 => (CallStatus.Failed, "moved", Data.Fault.Callee),
            401 or 407 => (CallStatus.Failed, "trunk_credentials", Data.Fault.Tenant),
            403 => (CallStatus.Failed, "trunk_forbidden", Data.Fault.Tenant),
            402 => (CallStatus.Failed, "carrier_credit", Data.Fault.Tenant),
            415 or 488 or 606 => (CallStatus.Failed, "no_common_codec", Data.Fault.Carrier),
            429 => (CallStatus.Failed, "carrier_rate_limit", Data.Fault.Carrier),
            >= 500 and < 600 => (CallStatus.Failed, "carrier_unavailable", Data.Fault.Carrier),
            >= 600 => (CallStatus.Rejected, "declined", Data.Fault.Callee),
            _ => (CallStatus.Failed, "carrier_refused", Data.Fault.Carrier),
        };
        return new(status, cause, fault, code, reason);
    }
}
