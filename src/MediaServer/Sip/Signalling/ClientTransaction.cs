namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>
/// One request of ours on one flow, until its final response has surely been seen (RFC 3261, 17.1; the Accepted state and timer M:
/// RFC 6026). Lives on its owner's queue.
/// </summary>
/// <remarks>
/// Calling/Trying → (1xx) Proceeding → (final) Completed or, an INVITE's 2xx, Accepted → gone. Timers: A or E send again over UDP, B or F give
/// up, D or K absorb late copies, M lets later 2xx through: copies of the first and those of other forks.
/// </remarks>
internal sealed class ClientTransaction
{
    private readonly SipStack _stack;
    private readonly Action<SipResponse> _onResponse;
    private readonly Action<UnreachableKind, string> _onFailed;
    private readonly ReadOnlyMemory<byte> _bytes;
    private readonly string _key;
    private readonly QueueTimer _resend;
    private readonly QueueTimer _limit;
    private CancellationTokenRegistration _onClosed;
    private ReadOnlyMemory<byte> _ack;
    private TimeSpan _pause;
    private State _state;

    /// <param name="stack">Where it is registered.</param>
    /// <param name="queue">Its owner's.</param>
    /// <param name="request">With our Via on top.</param>
    /// <param name="flow">The way to the next hop.</param>
    /// <param name="onResponse">Every provisional response, and the final one once; 2xx to INVITE each time.</param>
    /// <param name="onFailed">In place of a final response.</param>
    public ClientTransaction(SipStack stack, SerialQueue queue, SipRequest request, Flow flow, Action<SipResponse> onResponse, Action<UnreachableKind, string> onFailed)
    {
        (_stack, Queue, Request, Flow, _onResponse, _onFailed) = (stack, queue, request, flow, onResponse, onFailed);
        _bytes = SipWriter.Write(request);
        _key = KeyOf(request.TopVia!, request.Method);
        _resend = stack.NewTimer(queue, Resend);
        _limit = stack.NewTimer(queue, OnLimit);
    }

    private enum State
    {
        Calling,
        Proceeding,
        Completed,
        Accepted,
        Gone,
    }

    public SipRequest Request { get; }

    public SerialQueue Queue { get; }

    public Flow Flow { get; }

    public bool HasProvisional => _state == State.Proceeding;

    public bool IsPending => _state is State.Calling or State.Proceeding;

    private bool IsInvite => Request.Method == "INVITE";

    public static string KeyOf(Via via, string method) => $"{via.Branch} {method}";

    public void Start()
    {
        _stack.Clients[_key] = this;
        _limit.Start(_stack.Patience);
        if (!Flow.TrySend(_bytes))
        {
            Queue.Post(() => Fail(UnreachableKind.Network, $"{Flow.Remote} cannot be sent to."));
            return;
        }

        if (Flow.IsReliable)
        {
            _onClosed = Flow.Closed.UnsafeRegister(_ => Queue.Post(() => Fail(UnreachableKind.Network, $"{Flow.Remote} closed the connection.")), null);
        }
        else
        {
            _resend.Start(_pause = _stack.Options.T1);
        }
    }

    public void OnResponse(SipResponse response)
    {
        switch (_state)
        {
            case State.Calling or State.Proceeding when response.IsProvisional:
                _state = State.Proceeding;
                if (IsInvite)
                {
                    // It may ring as long as the call lets it.
                    _resend.Stop();
                    _limit.Stop();
                }

                _onResponse(response);
                break;
            case State.Calling or State.Proceeding:
                _resend.Stop();
                _onClosed.Dispose();
                Finish(response);
                _onResponse(response);
                break;
            case State.Completed when IsInvite && !response.IsProvisional && !response.IsSuccess:
                Flow.TrySend(_ack);
                break;
            case State.Accepted when response.IsSuccess:
                _onResponse(response);
                break;
        }
    }

    /// <summary>Gives up waiting; a final response that comes later is a stray.</summary>
    public void Abandon()
    {
        _state = State.Gone;
        _resend.Stop();
        _limit.Stop();
        _onClosed.Dispose();
        _stack.Clients.TryRemove(new KeyValuePair<string, ClientTransaction>(_key, this));
    }

    /// <summary>An INVITE that rings gets a limit: after CANCEL (RFC 3261, 9.1), or as a re-INVITE.</summary>
    public void Limit(TimeSpan after)
    {
        if (IsPending)
        {
            _limit.Start(after);
        }
    }

    private void Finish(SipResponse response)
    {
        if (IsInvite && response.IsSuccess)
        {
            _state = State.Accepted;
            _limit.Start(_stack.Patience);
            return;
        }

        _state = State.Completed;
        if (IsInvite)
        {
            _ack = SipWriter.Write(Replies.AckOfRefusal(Request, response));
            Flow.TrySend(_ack);
        }

        if (Flow.IsReliable)
        {
            Abandon();      // D and K are zero
        }
        else
        {
            _limit.Start(IsInvite ? _stack.Patience : _stack.Options.T4);
        }
    }

    private void Resend()
    {
        _stack.Counters.Count(ref _stack.Counters.Retransmissions);
        if (!Flow.TrySend(_bytes))
        {
            Fail(UnreachableKind.Network, $"{Flow.Remote} cannot be sent to.");
            return;
        }

        var twice = _pause * 2;
        _pause = !IsInvite && (twice > _stack.Options.T2 || _state == State.Proceeding) ? _stack.Options.T2 : twice;
        _resend.Start(_pause);
    }

    private void OnLimit()
    {
        if (IsPending)
        {
            Fail(UnreachableKind.NoResponse, $"{Flow.Remote} did not answer by {Flow.Transport.ToString().ToUpperInvariant()}.");
        }
        else
        {
            Abandon();
        }
    }

    private void Fail(UnreachableKind kind, string message)
    {
        if (IsPending)
        {
            Abandon();
            _onFailed(kind, message);
        }
    }
}
