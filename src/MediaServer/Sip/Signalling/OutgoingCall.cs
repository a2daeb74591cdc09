namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>A call we place.</summary>
internal sealed class OutgoingCall : SipCall
{
    private const int MaxForks = 8;

    private readonly OutgoingInvite _invite;
    private readonly TaskCompletionSource<InviteOutcome> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly QueueTimer _ringing;
    private readonly Dictionary<string, string> _earlySdp = new(StringComparer.Ordinal);        // by the callee's tag
    private readonly Dictionary<string, Dialog> _forks = new(StringComparer.Ordinal);          // that answered, by tag
    private uint _sequence = SipIds.CSeq();
    private TimeSpan _sessionExpires;
    private Exchange? _exchange;
    private bool _hasProvisional;

    internal OutgoingCall(SipStack stack, OutgoingInvite invite, ICallObserver observer)
        : base(stack, SipIds.CallId(), invite.FromUser)
    {
        (_invite, Listener, _sessionExpires) = (invite, observer, stack.Options.SessionExpires);
        _ringing = stack.NewTimer(Queue, OnRingingTimeout);
        LocalSdp = invite.Offer;
    }

    /// <summary>Completes once, also when the call is cancelled; it never faults.</summary>
    public Task<InviteOutcome> Outcome => _outcome.Task;

    private protected override string? AuthUsername => _invite.AuthUsername;

    private protected override string? AuthPassword => _invite.AuthPassword;

    private protected override bool OwnsCallId => true;

    /// <summary>Gives up before the answer; after it, this does nothing.</summary>
    public void Cancel() => Queue.Post(() =>
    {
        if (!IsEstablished && !IsOver)
        {
            GiveUp();
        }
    });

    internal void Start() => Queue.Post(() =>
    {
        _ringing.Start(_invite.RingingTimeout);
        SendInvite();
    });

    internal void Fail(UnreachableKind kind, string message) => Queue.Post(() => Conclude(new InviteOutcome.Unreachable(kind, message)));

    private protected override void GiveUp()
    {
        _exchange?.Cancel();
        Conclude(new InviteOutcome.Canceled());
    }

    private protected override void OnOver()
    {
        _ringing.Stop();

        // After what ends the call has told its own outcome: whoever waits is told one in any case.
        Queue.Post(() => _outcome.TrySetResult(new InviteOutcome.Unreachable(UnreachableKind.Protocol, "The call ended before its answer could be taken.")));
    }

    private void SendInvite()
    {
        var route = new Route(_invite.NextHop ?? _invite.Target, _invite.Transport);
        _exchange = new Exchange(Stack, Queue, route, Build, Credentials, OnResponse, OnFailed);
        _exchange.Start();
    }

    private SipRequest Build(Flow flow)
    {
        var (host, _) = Stack.Network.SelfOn(flow);
        var from = new NameAddress(new SipUri { User = _invite.FromUser, Host = _invite.FromHost ?? host }) { DisplayName = _invite.DisplayName ?? "" };
        var to = new NameAddress(_invite.To ?? _invite.Target with { Port = null, Parameters = _invite.Target.Scheme == "tel" ? _invite.Target.Parameters : "" });
        var headers = new SipHeaders();
        headers.Add("Max-Forwards", _invite.MaxForwards.ToString());
        headers.Add("From", from.WithTag(LocalTag).ToString());
        headers.Add("To", to.ToString());
        headers.Add("Call-ID", CallId);
        headers.Add("CSeq", new CSeq(++_sequence, "INVITE").ToString());
        headers.Add("Contact", Stack.ContactOn(flow, ContactUser));
        if (_invite.NextHop is { } proxy)
        {
            headers.Add("Route", $"<{proxy with { User = "", Parameters = proxy.IsLoose ? proxy.Parameters : proxy.Parameters.Length == 0 ? "lr" : proxy.Parameters + ";lr" }}>");
        }

        headers.Add("User-Agent", Stack.Options.Product);
        headers.Add("Allow", SipStack.Allow);
        headers.Add("Accept", "application/sdp");
        var request = new SipRequest("INVITE", _invite.Target.ToString()) { Headers = headers, Body = _invite.Offer };
        ProposeSession(request, _sessionExpires, refresher: null);
        CallHeaders.AddTo(request, _invite.Headers);
        headers.Add("Content-Type", "application/sdp");
        return request;
    }

    private void OnResponse(SipResponse response)
    {
        if (response.IsProvisional)
        {
            _hasProvisional = true;
            if (!IsOver && response.Status > 100)
            {
                OnProgress(response);
            }
        }
        else if (response.IsSuccess)
        {
            OnAnswered(response);
        }
        else if (!IsOver)
        {
            OnRefused(response);
        }
    }

    private void OnProgress(SipResponse response)
    {
        var sdp = MessageBody.Sdp(response);
        if (sdp is not null && response.To?.Tag is { } tag && (_earlySdp.Count < MaxForks || _earlySdp.ContainsKey(tag)))
        {
            _earlySdp[tag] = sdp;
        }

        Listener?.OnProgress(response.Status, sdp);
    }

    /// <summary>A 2xx: the first, a copy of it, another fork's, or one that crossed our CANCEL.</summary>
    private void OnAnswered(SipResponse response)
    {
        var invite = _exchange!.Request!;
        if (Dialog.OfCaller(invite, response) is not { } dialog)
        {
            Conclude(new InviteOutcome.Unreachable(UnreachableKind.Protocol, "The call was answered without a Contact or tag."));
            return;
        }

        if (_forks.TryGetValue(dialog.RemoteTag, out var known))
        {
            Acknowledge(known, invite);
            return;
        }

        if (_forks.Count == MaxForks)
        {
            return;
        }

        _forks[dialog.RemoteTag] = dialog;
        if (IsOver || IsEstablished)
        {
            // Somebody picked up whom nobody speaks with.
            Acknowledge(dialog, invite);
            SayBye(dialog, null);
            return;
        }

        Meet(_exchange.Flow!);
        Dialog = dialog;
        RemoteHeaders = response.Headers;
        Acknowledge(dialog, invite);
        if ((MessageBody.Sdp(response) ?? _earlySdp.GetValueOrDefault(dialog.RemoteTag)) is not { } sdp)
        {
            SayBye(dialog, null);
            Conclude(new InviteOutcome.Unreachable(UnreachableKind.Protocol, "The call was answered without SDP."));
            return;
        }

        _ringing.Stop();
        (IsEstablished, RemoteSdp) = (true, sdp);
        TakeSession(response);
        _outcome.TrySetResult(new InviteOutcome.Answered(sdp, response.Headers));
    }

    private void OnRefused(SipResponse response)
    {
        // Once per refusal with a longer interval, which cannot go on for ever.
        if (response.Status == 422 && SessionExpires.MinimumOf(response) is { } minimum && minimum > _sessionExpires)
        {
            _sessionExpires = minimum;
            SendInvite();
            return;
        }

        Conclude(new InviteOutcome.Refused(response.Status, response.Reason, response.Headers));
    }

    private void OnFailed(UnreachableKind kind, string message) => Conclude(new InviteOutcome.Unreachable(kind, message));

    private void OnRingingTimeout()
    {
        if (IsEstablished || IsOver)
        {
            return;
        }

        _exchange?.Cancel();
        Conclude(_hasProvisional
            ? new InviteOutcome.NoAnswer()
            : new InviteOutcome.Unreachable(UnreachableKind.NoResponse, $"{(_invite.NextHop ?? _invite.Target).Host} did not answer within {_invite.RingingTimeout.TotalSeconds:0.#} s."));
    }

    /// <summary>The INVITE ended without a call. Its transactions live on to answer what is still under way.</summary>
    private void Conclude(InviteOutcome outcome)
    {
        End(null);
        _outcome.TrySetResult(outcome);
        HangUpDone();
    }
}
