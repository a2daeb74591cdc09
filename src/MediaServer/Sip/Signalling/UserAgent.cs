using Microsoft.Extensions.Logging;

namespace VoicePlatform.MediaServer.Sip.Signalling;

internal sealed class UserAgent(UserAgentOptions options, IIncomingCalls incoming, TimeProvider clock, ILoggerFactory logs) : IAsyncDisposable
{
    public int Port => throw new NotSupportedException();

    public int? TlsPort => throw new NotSupportedException();

    public void Start() => throw new NotSupportedException($"{options} {incoming} {clock} {logs}");

    public OutgoingCall Invite(OutgoingInvite invite, ICallObserver observer) => throw new NotSupportedException();

    public Registration Register(RegistrationOptions registration) => throw new NotSupportedException();

    public Task<SipResponseSummary> PingAsync(SipUri target, SipTransport? transport, CancellationToken ct) => throw new NotSupportedException();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}

internal abstract class SipCall
{
    public string CallId => throw new NotSupportedException();

    public string LocalTag => throw new NotSupportedException();

    public string? RemoteTag => throw new NotSupportedException();

    /// <summary>Of the peer's INVITE or of its 2xx.</summary>
    public SipHeaders RemoteHeaders => throw new NotSupportedException();

    /// <summary>Cancelled when the call is over, however it ended.</summary>
    public CancellationToken Ended => throw new NotSupportedException();

    public Task HangUpAsync(string? reason = null) => throw new NotSupportedException();

    public Task<ReferOutcome> ReferAsync(string referTo, IReadOnlyList<(string Name, string Value)> headers, TimeSpan timeout, CancellationToken ct) => throw new NotSupportedException();

    public Task<ReInviteOutcome> ReInviteAsync(string offer, CancellationToken ct) => throw new NotSupportedException();
}

internal sealed class OutgoingCall : SipCall
{
    public Task<InviteOutcome> Outcome => throw new NotSupportedException();

    public void Cancel() => throw new NotSupportedException();
}

internal sealed class IncomingCall : SipCall
{
    public SipRequest Invite => throw new NotSupportedException();

    public SipUri RequestUri => throw new NotSupportedException();

    public NameAddress From => throw new NotSupportedException();

    public NameAddress To => throw new NotSupportedException();

    public string DisplayName => throw new NotSupportedException();

    public SipHeaders Headers => throw new NotSupportedException();

    /// <summary>Null: the caller wants our offer in the answer.</summary>
    public string? Offer => throw new NotSupportedException();

    public System.Net.IPEndPoint Source => throw new NotSupportedException();

    public SipTransport Transport => throw new NotSupportedException();

    /// <summary>Hears of the call from the answer on; to be set before answering.</summary>
    public ICallObserver? Observer { get; set; }

    public void Ring() => throw new NotSupportedException();

    public void Progress(string sdp) => throw new NotSupportedException();

    /// <summary>Completes with the ACK. The result is the ACK's SDP: the answer where <see cref="Offer"/> was null.</summary>
    public Task<string?> AnswerAsync(string sdp, IReadOnlyList<(string Name, string Value)>? headers = null) => throw new NotSupportedException();

    public void Reject(int status, string reason, IReadOnlyList<(string Name, string Value)>? headers = null) => throw new NotSupportedException();

    public void Challenge(string realm) => throw new NotSupportedException();

    public bool Authenticate(string username, string password, string realm) => throw new NotSupportedException();
}

internal sealed class Registration : IAsyncDisposable
{
    public RegistrationState State => throw new NotSupportedException();

    /// <summary>One sentence on the last failure; null when the last attempt went well.</summary>
    public string? LastError => throw new NotSupportedException();

    /// <summary>Completes with the first registrar's answer or failure.</summary>
    public Task<RegistrationState> FirstAttempt => throw new NotSupportedException();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
