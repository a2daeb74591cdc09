using System.Net;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>
/// One request of a peer, until its answer has surely arrived (RFC 3261, 17.2; RFC 6026). Lives on the call's queue; made on the
/// receiving thread, so that a copy of the request always finds it.
/// </summary>
/// <remarks>
/// A refusal of an INVITE that was never answered provisionally is not sent again by timer G: the caller repeats the INVITE until it has
/// seen it, and each repetition is answered. So whoever forges a sender's address gets no more sent there than he sends himself.
/// </remarks>
internal sealed class ServerTransaction
{
    private readonly SipStack _stack;
    private readonly Flow _flow;
    private readonly QueueTimer _resend;
    private readonly QueueTimer _limit;
    private readonly QueueTimer _trying;
    private readonly string _key;
    private ReadOnlyMemory<byte> _last;
    private TimeSpan _pause;
    private State _state;

    public ServerTransaction(SipStack stack, SerialQueue queue, SipRequest request, Flow flow, string key)
    {
        (_stack, Queue, Request, _key) = (stack, queue, request, key);
        _flow = ReplyFlow(stack, request, flow);
        Flow = flow;
        _resend = stack.NewTimer(queue, Resend);
        _limit = stack.NewTimer(queue, Forget);
        _trying = stack.NewTimer(queue, () => Respond(Replies.To(Request, 100, null, tag: null, _stack.Options.Product)));
    }

    private enum State
    {
        Trying,
        Proceeding,
        Completed,
        Confirmed,
        Accepted,
        Gone,
    }

    public SipRequest Request { get; }

    /// <summary>What the request came by.</summary>
    public Flow Flow { get; }

    public SerialQueue Queue { get; }

    public bool IsInvite => Request.Method == "INVITE";

    /// <summary>No final response yet.</summary>
    public bool IsPending => _state is State.Trying or State.Proceeding;

    /// <summary>Runs when it is forgotten.</summary>
    public Action? OnGone { get; set; }

    /// <summary>The INVITE's key also fits its CANCEL and the ACK of its refusal (RFC 3261, 17.2.3; for peers of RFC 2543 by what stood in for the branch).</summary>
    public static string KeyOf(SipRequest request, Via via, string method) => via.HasUniqueBranch
        ? $"{via.Branch} {via.Host}:{via.Port} {method}"
        : $"{request.CallId} {request.From?.Tag} {request.CSeq.Number} {via.Host}:{via.Port} {via.Branch} {method}";

    /// <summary>Where responses go (RFC 3261, 18.2.2; RFC 3581): back over the connection; over UDP to the source's address, and to its port if asked so.</summary>
    public static Flow ReplyFlow(SipStack stack, SipRequest request, Flow flow) =>
        !flow.IsReliable && request.TopVia is { } via && !via.WantsRport && (via.Port ?? 5060) != flow.Remote.Port
            ? stack.Network.Udp(new IPEndPoint(flow.Remote.Address, via.Port ?? 5060))
            : flow;

    /// <summary>An INVITE that is not answered within 200 ms is told 100 Trying.</summary>
    public void Start()
    {
        if (IsInvite)
        {
            _trying.Start(TimeSpan.FromMilliseconds(200));
        }
    }

    public void Respond(SipResponse response)
    {
        if (!IsPending)
        {
            return;
        }

        _trying.Stop();
        _last = SipWriter.Write(response);
        _flow.TrySend(_last);
        if (response.IsProvisional)
        {
            _state = State.Proceeding;
            return;
        }

        var isRepeated = IsInvite && !response.IsSuccess && !_flow.IsReliable && _state == State.Proceeding;
        _state = IsInvite && response.IsSuccess ? State.Accepted : State.Completed;
        if (isRepeated)
        {
            _resend.Start(_pause = _stack.Options.T1);
        }

        if (!IsInvite && _flow.IsReliable)
        {
            Forget();
        }
        else
        {
            _limit.Start(_stack.Patience);      // H, J or L
        }
    }

    /// <summary>Sends the last response again: a copy of the request came, or the call repeats its 2xx.</summary>
    public void Repeat()
    {
        if (_last.Length > 0 && _state is not (State.Confirmed or State.Gone))
        {
            _stack.Counters.Count(ref _stack.Counters.Retransmissions);
            _flow.TrySend(_last);
        }
    }

    /// <summary>A copy of the request. The call itself repeats a 2xx, by its own timer.</summary>
    public void OnRepeated()
    {
        if (_state != State.Accepted)
        {
            Repeat();
        }
    }

    /// <summary>The ACK of a refusal.</summary>
    public void OnAck()
    {
        if (_state == State.Completed && IsInvite)
        {
            _resend.Stop();
            _state = State.Confirmed;
            _limit.Start(_flow.IsReliable ? TimeSpan.FromMilliseconds(1) : _stack.Options.T4);      // I: late copies of the ACK are absorbed
        }
    }

    public void Forget()
    {
        if (_state == State.Gone)
        {
            return;
        }

        _state = State.Gone;
        _resend.Stop();
        _limit.Stop();
        _trying.Stop();
        _stack.Servers.TryRemove(new KeyValuePair<string, ServerTransaction>(_key, this));
        OnGone?.Invoke();
    }

    private void Resend()
    {
        Repeat();
        _pause = _pause * 2 > _stack.Options.T2 ? _stack.Options.T2 : _pause * 2;
        _resend.Start(_pause);
    }
}
