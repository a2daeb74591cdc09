using System.Globalization;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.ServerApi;
using VoicePlatform.MediaServer.Sip.Signalling;

namespace VoicePlatform.MediaServer.Sip;

/// <summary>Why a telephone was not reached, in the terms of LiveKit's API and rooms.</summary>
/// <param name="Status">SIP status; where none was received, the one RFC 3261 section 8.1.3.1 puts in its place.</param>
internal sealed record SipFailure(TwirpCode Code, int Status, string Words, DisconnectReason Reason)
{
    /// <summary>Null when the call was answered.</summary>
    public static SipFailure? Of(InviteOutcome outcome) => outcome switch
    {
        InviteOutcome.Answered => null,
        InviteOutcome.Refused refused => OfStatus(refused.Status, refused.Reason),
        InviteOutcome.NoAnswer => new(TwirpCode.DeadlineExceeded, 487, "Request Terminated", DisconnectReason.UserUnavailable),
        InviteOutcome.Canceled => new(TwirpCode.Canceled, 487, "Request Terminated", DisconnectReason.ClientInitiated),
        InviteOutcome.Unreachable { Kind: UnreachableKind.NoResponse } unreachable =>
            new(TwirpCode.Unavailable, 408, unreachable.Message, DisconnectReason.SipTrunkFailure),
        InviteOutcome.Unreachable unreachable => new(TwirpCode.Unavailable, 503, unreachable.Message, DisconnectReason.SipTrunkFailure),
        _ => new(TwirpCode.Internal, 500, "Server Internal Error", DisconnectReason.SipTrunkFailure),
    };

    public static SipFailure OfStatus(int status, string words) => status switch
    {
        486 or 600 => new(TwirpCode.ResourceExhausted, status, words, DisconnectReason.UserRejected),
        403 or 603 or 607 or 608 => new(TwirpCode.PermissionDenied, status, words, DisconnectReason.UserRejected),
        480 or 408 => new(status == 408 ? TwirpCode.DeadlineExceeded : TwirpCode.Unavailable, status, words, DisconnectReason.UserUnavailable),
        487 => new(TwirpCode.FailedPrecondition, status, words, DisconnectReason.UserUnavailable),
        401 or 407 => new(TwirpCode.Unauthenticated, status, words, DisconnectReason.SipTrunkFailure),
        404 or 410 or 484 or 604 => new(TwirpCode.NotFound, status, words, DisconnectReason.UserUnavailable),
        400 or 415 or 420 or 488 or 606 => new(TwirpCode.InvalidArgument, status, words, DisconnectReason.SipTrunkFailure),
        >= 500 and < 600 => new(TwirpCode.Unavailable, status, words, DisconnectReason.SipTrunkFailure),
        _ => new(TwirpCode.FailedPrecondition, status, words, DisconnectReason.SipTrunkFailure),
    };

    public TwirpException ToException(string what) => new(Code, $"twirp error unknown: {what} failed: sip status: {Status}: {Words}")
    {
        Meta = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["sip_status_code"] = Status.ToString(CultureInfo.InvariantCulture),
            ["sip_status"] = Words,
        },
    };
}
