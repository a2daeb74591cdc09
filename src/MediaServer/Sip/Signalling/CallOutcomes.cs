namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>The transport of a message; TLS is TLS over TCP.</summary>
internal enum SipTransport
{
    Udp,
    Tcp,
    Tls,
}

/// <summary>How an outgoing call's INVITE ended.</summary>
internal abstract record InviteOutcome
{
    private InviteOutcome()
    {
    }

    /// <summary>The callee answered; the call stands until it is hung up.</summary>
    /// <param name="Sdp">The answer to the offer.</param>
    /// <param name="Headers">Of the 2xx response.</param>
    public sealed record Answered(string Sdp, SipHeaders Headers) : InviteOutcome;

    /// <summary>A final response from 300 to 699. Redirections are not followed.</summary>
    public sealed record Refused(int Status, string Reason, SipHeaders Headers) : InviteOutcome;

    /// <summary>It rang until the ringing timeout; the INVITE was cancelled.</summary>
    public sealed record NoAnswer : InviteOutcome;

    /// <summary>Cancelled on our side.</summary>
    public sealed record Canceled : InviteOutcome;

    /// <summary>Nobody said a word on the call.</summary>
    /// <param name="Message">One sentence, without numbers of callers.</param>
    public sealed record Unreachable(UnreachableKind Kind, string Message) : InviteOutcome;
}

internal enum UnreachableKind
{
    NameNotResolved,
    ConnectionRefused,

    /// <summary>The TLS handshake failed, the certificate among the reasons.</summary>
    Tls,

    /// <summary>Connected or sent, and no response came.</summary>
    NoResponse,

    /// <summary>No route, a connection that broke, a transport this agent does not have.</summary>
    Network,

    /// <summary>The peer answered against the protocol, such as a 200 without SDP.</summary>
    Protocol,

    /// <summary>This user agent is full or has stopped.</summary>
    Local,
}

/// <summary>What OPTIONS brought, for testing a trunk.</summary>
/// <param name="Status">The response's status; null: there was none and <paramref name="Failure"/> says why.</param>
/// <param name="Message">One sentence for the tenant.</param>
internal sealed record SipResponseSummary(int? Status, string? Reason, UnreachableKind? Failure, string Message, TimeSpan Took, SipHeaders Headers);

/// <summary>Why a call ended that was not hung up by <see cref="SipCall.HangUpAsync"/>.</summary>
/// <param name="Reason">The peer's Reason header (RFC 3326), such as <c>Q.850;cause=16</c>.</param>
internal sealed record HangUp(HangUpCause Cause, string? Reason = null);

internal enum HangUpCause
{
    /// <summary>The peer sent BYE, or CANCEL before the answer.</summary>
    Peer,

    /// <summary>The peer no longer refreshed the session (RFC 4028), or knew nothing of it when it was refreshed.</summary>
    SessionExpired,

    /// <summary>Our answer was never acknowledged.</summary>
    NoAck,

    /// <summary>The peer broke the protocol so that the call cannot go on.</summary>
    Protocol,

    /// <summary>The user agent was disposed.</summary>
    Stopped,
}

internal enum ReferKind
{
    /// <summary>The peer reported a final status of the call it made.</summary>
    Reported,

    /// <summary>The REFER itself was refused.</summary>
    Refused,

    /// <summary>Accepted, but no final report came in time or before the peer hung up (many providers send none).</summary>
    Unreported,

    /// <summary>There was no response, or no call any more to send it in.</summary>
    Failed,
}

/// <summary>How a transfer went (RFC 3515).</summary>
/// <param name="Status">Of the transferred call (<see cref="ReferKind.Reported"/>) or of the REFER; 0 where there is none.</param>
internal sealed record ReferOutcome(ReferKind Kind, int Status, string Reason)
{
    public bool IsTransferred => Kind == ReferKind.Reported && Status is >= 200 and < 300;
}

/// <summary>How a re-INVITE went.</summary>
/// <param name="Sdp">The answer; null when it was refused and the session stays as it was.</param>
internal sealed record ReInviteOutcome(int Status, string Reason, string? Sdp)
{
    public bool IsAccepted => Sdp is not null;
}

/// <summary>A call cannot do what was asked of it. The message is one sentence.</summary>
internal sealed class SipException(string message, Exception? inner = null) : Exception(message, inner);
