using System.Net;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>A call somebody places to us, until it is answered or refused and, answered, until its end.</summary>
internal sealed class IncomingCall : SipCall
{
    /// <summary>RFC 3261, 13.3.1.1: so that no proxy believes it dead.</summary>
    private static readonly TimeSpan RepeatProgress = TimeSpan.FromSeconds(60);

    private readonly ServerTransaction _transaction;
    private readonly TaskCompletionSource<string?> _answered = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly QueueTimer _progress;
    private readonly QueueTimer _limit;
    private Action? _repeat;
    private bool _isAnswering;
    private bool _isStale;
    private (bool IsDue, string? Reason) _hangUp;

    internal IncomingCall(SipStack stack, SipRequest invite, SipUri requestUri, Flow flow, string? offer, string key)
        : base(stack, invite.CallId, requestUri.User)
    {
        (Invite, RequestUri, Offer, Source, Transport, RemoteHeaders) = (invite, requestUri, offer, flow.Remote, flow.Transport, invite.Headers);
        Dialog = Dialog.OfCallee(invite, LocalTag);
        (From, To, RemoteSdp) = (invite.From!, invite.To!, offer ?? "");
        _transaction = new ServerTransaction(stack, Queue, invite, flow, key);
        _progress = stack.NewTimer(Queue, RepeatLast);
        _limit = stack.NewTimer(Queue, () => Refuse(480, null, null));
        NotePeer(invite);
    }

    public SipRequest Invite { get; }

    public SipUri RequestUri { get; }

    public NameAddress From { get; }

    public NameAddress To { get; }

    public string DisplayName => From.DisplayName;

    public SipHeaders Headers => Invite.Headers;

    /// <summary>Null: the caller wants our offer in the answer.</summary>
    public string? Offer { get; }

    /// <summary>Where the INVITE really came from.</summary>
    public IPEndPoint Source { get; }

    public SipTransport Transport { get; }

    /// <summary>Hears of the call from the answer on; to be set before answering.</summary>
    public ICallObserver? Observer
    {
        get => Listener;
        set => Listener = value;
    }

    internal ServerTransaction Transaction => _transaction;

    private protected override bool OwnsCallId => false;

    /// <summary>180 Ringing.</summary>
    public void Ring() => Queue.Post(() => Progress(180, ""));

    /// <summary>183 Session Progress with early media.</summary>
    public void Progress(string sdp) => Queue.Post(() => Progress(183, sdp));

    /// <summary>
    /// Answers. Completes with the ACK, whose SDP is the result: the answer where <see cref="Offer"/> was null and
    /// <paramref name="sdp"/> is our offer.
    /// </summary>
    /// <exception cref="SipException">The caller has given up, the call is answered already, or no ACK came within 32 s; then it is hung up.</exception>
    public Task<string?> AnswerAsync(string sdp, IReadOnlyList<(string Name, string Value)>? headers = null)
    {
        CallHeaders.Check(headers ?? []);
        Queue.Post(() => Answer(sdp, headers));
        return _answered.Task;
    }

    /// <summary>Refuses the call; without effect once it is answered or over.</summary>
    /// <param name="status">300 to 699.</param>
    /// <param name="reason">Null: the standard phrase.</param>
    /// <param name="headers">Such as Retry-After or Reason.</param>
    public void Reject(int status, string? reason = null, IReadOnlyList<(string Name, string Value)>? headers = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(status, 300);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(status, 699);
        CallHeaders.Check(headers ?? []);
        Queue.Post(() => Refuse(status, reason, headers));
    }

    /// <summary>Asks for a password (401). The caller's next INVITE, with the answer, is a new call.</summary>
    public void Challenge(string realm) => Queue.Post(() =>
        Refuse(401, null, [.. from challenge in Stack.Digest.Challenge(realm, Source.Address, Volatile.Read(ref _isStale)) select ("WWW-Authenticate", challenge)]));

    /// <summary>Whether the INVITE answers a challenge of ours rightly. A right answer works once.</summary>
    public bool Authenticate(string username, string password, string realm)
    {
        var verdict = Stack.Digest.Check(Invite, username, password, realm, Source.Address);
        Volatile.Write(ref _isStale, verdict == DigestVerifier.Verdict.Stale);
        return verdict == DigestVerifier.Verdict.Right;
    }

    internal void Start() => Queue.Post(() =>
    {
        Meet(_transaction.Flow);
        _transaction.Start();
        _limit.Start(Stack.Options.AnswerTimeout);
    });

    /// <summary>Its handler ended; what it left undecided is refused.</summary>
    internal void Undecided(int status) => Queue.Post(() => Refuse(status, null, null));

    /// <summary>A CANCEL; every copy is answered (RFC 3261, 9.2).</summary>
    internal void OnCancel(SipRequest cancel, Flow flow)
    {
        ServerTransaction.ReplyFlow(Stack, cancel, flow).TrySend(SipWriter.Write(Replies.To(cancel, 200, null, LocalTag, Stack.Options.Product)));
        Refuse(487, null, null);
    }

    private protected override void GiveUp() => Refuse(480, null, null);

    private protected override bool TryPutOffHangUp(string? reason)
    {
        // A callee may not say BYE before the ACK (RFC 3261, 15); it comes, or the wait for it ends.
        _hangUp = (IsAckAwaited && _isAnswering, reason);
        return _hangUp.IsDue;
    }

    private protected override void OnBye(SipRequest bye)
    {
        if (_transaction.IsPending)
        {
            Refuse(487, null, null);        // of an early dialog (RFC 3261, 15.1.2)
            return;
        }

        base.OnBye(bye);
    }

    private protected override void OnOver()
    {
        _progress.Stop();
        _limit.Stop();
        if (_transaction.IsPending)
        {
            Reply(_transaction, 500);
        }

        _answered.TrySetException(new SipException("The call was over before its answer was acknowledged."));
        _ = _answered.Task.Exception;       // seen: nobody has to have waited
    }

    private void Progress(int status, string sdp)
    {
        if (IsOver || !_transaction.IsPending)
        {
            return;
        }

        LocalSdp = sdp.Length > 0 ? sdp : LocalSdp;
        _repeat = () =>
        {
            var response = Replies.To(Invite, status, null, LocalTag, Stack.Options.Product, sdp);
            response.Headers.Add("Contact", Stack.ContactOn(_transaction.Flow, ContactUser));
            response.Headers.Add("Allow", SipStack.Allow);
            _transaction.Respond(response);
        };
        RepeatLast();
    }

    private void RepeatLast()
    {
        if (_transaction.IsPending)
        {
            _repeat?.Invoke();
            _progress.Start(RepeatProgress);
        }
    }

    private void Answer(string sdp, IReadOnlyList<(string Name, string Value)>? headers)
    {
        if (IsOver || !_transaction.IsPending)
        {
            _answered.TrySetException(new SipException("The caller has given up, or the call is answered or refused already."));
            return;
        }

        _progress.Stop();
        _limit.Stop();
        (IsEstablished, _isAnswering, LocalSdp) = (true, true, sdp);
        var response = Accept(_transaction, sdp);
        CallHeaders.AddTo(response, headers);
        AwaitAck(_transaction, OnAcknowledged, OnUnacknowledged);
        _transaction.Respond(response);
    }

    private void OnAcknowledged(SipRequest ack)
    {
        _isAnswering = false;
        var sdp = MessageBody.Sdp(ack);
        if (Offer is null)
        {
            RemoteSdp = sdp ?? "";
        }

        _answered.TrySetResult(sdp);
        if (_hangUp.IsDue)
        {
            _ = HangUpAsync(_hangUp.Reason);        // whoever asked holds the same task
        }
    }

    private void OnUnacknowledged()
    {
        _isAnswering = false;
        _answered.TrySetException(new SipException("The answer was not acknowledged; the call is hung up."));
        Abort(new HangUp(HangUpCause.NoAck));
    }

    private void Refuse(int status, string? reason, IReadOnlyList<(string Name, string Value)>? headers)
    {
        if (IsOver || !_transaction.IsPending)
        {
            return;
        }

        var response = Replies.To(Invite, status, reason, LocalTag, Stack.Options.Product);
        CallHeaders.AddTo(response, headers);
        _transaction.Respond(response);
        End(null);
        HangUpDone();
    }
}
