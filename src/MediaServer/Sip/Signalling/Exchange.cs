namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>Where a request is to go.</summary>
/// <param name="NextHop">Resolved unless there is a flow.</param>
/// <param name="Transport">What is asked for; null: by the URI.</param>
/// <param name="Flow">Used as long as it is open.</param>
internal readonly record struct Route(SipUri NextHop, SipTransport? Transport = null, Flow? Flow = null);

/// <summary>
/// A request of ours carried to its final response: names resolved, a connection found, the next address tried where one is dead, one
/// challenge answered. Each attempt is a transaction of its own. Lives on its owner's queue; names and connections are found outside.
/// </summary>
internal sealed class Exchange
{
    private readonly SipStack _stack;
    private readonly SerialQueue _queue;
    private readonly Route _route;
    private readonly Func<Flow, SipRequest> _build;
    private readonly DigestClient _digest;
    private readonly Action<SipResponse> _onResponse;
    private readonly Action<UnreachableKind, string> _onFailed;
    private readonly List<Destination> _untried = [];
    private ClientTransaction? _transaction;
    private bool _isCanceled;
    private bool _isCancelSent;
    private bool _isOver;

    /// <param name="stack">What all share.</param>
    /// <param name="queue">The owner's.</param>
    /// <param name="route">Where it goes.</param>
    /// <param name="build">The request as it goes over a flow, with a new CSeq each time, without Via and credentials.</param>
    /// <param name="digest">The credentials, for this request alone.</param>
    /// <param name="onResponse">Provisional ones and the final one; every copy of an INVITE's 2xx.</param>
    /// <param name="onFailed">In place of a final response.</param>
    public Exchange(SipStack stack, SerialQueue queue, Route route, Func<Flow, SipRequest> build, DigestClient digest, Action<SipResponse> onResponse, Action<UnreachableKind, string> onFailed) =>
        (_stack, _queue, _route, _build, _digest, _onResponse, _onFailed) = (stack, queue, route, build, digest, onResponse, onFailed);

    /// <summary>The last attempt's request; null before the first.</summary>
    public SipRequest? Request => _transaction?.Request;

    public Flow? Flow => _transaction?.Flow;

    public bool HasResponse { get; private set; }

    public void Start() => _ = FindAsync();      // catches everything; what it finds goes to the queue

    /// <summary>Withdraws an INVITE: CANCEL as soon as there is a provisional response (RFC 3261, 9.1), nothing where it is not out yet.</summary>
    public void Cancel()
    {
        if (_isCanceled || _isOver)
        {
            return;
        }

        _isCanceled = true;
        if (_transaction is { HasProvisional: true })
        {
            SendCancel();
        }
    }

    /// <summary>Bounds how long an INVITE may ring.</summary>
    public void Limit(TimeSpan after) => _transaction?.Limit(after);

    private async Task FindAsync()
    {
        try
        {
            if (_route.Flow is { IsOpen: true } flow)
            {
                _queue.Post(() => Begin(flow));
                return;
            }

            var found = await _stack.Network.ResolveAsync(_route.NextHop, _route.Transport);
            _queue.Post(() =>
            {
                _untried.AddRange(found);
                Next(UnreachableKind.NameNotResolved, $"The name {_route.NextHop.Host} does not resolve.");
            });
        }
        catch (UnreachableException e)
        {
            _queue.Post(() => Fail(e.Kind, e.Message));
        }
#pragma warning disable CA1031 // a bug in here must end this request and not leave its owner waiting
        catch (Exception e)
#pragma warning restore CA1031
        {
            _queue.Post(() => throw new InvalidOperationException("A SIP request could not be sent.", e));
        }
    }

    /// <summary>Tries the next address; without one it fails for the last reason.</summary>
    private void Next(UnreachableKind kind, string message)
    {
        if (_untried.Count == 0 || _isCanceled)
        {
            Fail(kind, message);
            return;
        }

        var to = _untried[0];
        _untried.RemoveAt(0);
        _ = ConnectAsync(to);       // as above
    }

    private async Task ConnectAsync(Destination to)
    {
        try
        {
            var flow = await _stack.Network.OpenAsync(to);
            _queue.Post(() => Begin(flow));
        }
        catch (UnreachableException e)
        {
            _queue.Post(() => Next(e.Kind, e.Message));
        }
#pragma warning disable CA1031 // as above
        catch (Exception e)
#pragma warning restore CA1031
        {
            _queue.Post(() => throw new InvalidOperationException("A SIP request could not be sent.", e));
        }
    }

    private void Begin(Flow flow)
    {
        if (_isCanceled)
        {
            Fail(UnreachableKind.Local, "It was withdrawn before it was sent.");
            return;
        }

        var request = _build(flow);
        var (host, port) = _stack.Network.SelfOn(flow);
        var lines = new SipHeaders();
        lines.Add("Via", $"SIP/2.0/{flow.Transport.ToString().ToUpperInvariant()} {host}:{port};branch={SipIds.Branch()};rport");
        foreach (var (name, value) in request.Headers)
        {
            lines.Add(name, value);
        }

        var stamped = new SipRequest(request.Method, request.RequestUri) { Headers = lines, Body = request.Body };
        _digest.Authorize(stamped);
        var transaction = new ClientTransaction(_stack, _queue, stamped, flow, OnResponse, OnFailed);
        _transaction = transaction;
        transaction.Start();
    }

    private void OnResponse(SipResponse response)
    {
        HasResponse = true;
        if (response.IsProvisional)
        {
            if (_isCanceled)
            {
                SendCancel();
            }

            _onResponse(response);
            return;
        }

        if (!_isOver && !_isCanceled && response.Status is 401 or 407 && _digest.TryTake(response))
        {
            Begin(_transaction!.Flow);
            return;
        }

        if (!_isOver && response.Status == 503 && _untried.Count > 0 && !_isCanceled)
        {
            Next(UnreachableKind.NoResponse, "No server is available.");
            return;
        }

        _isOver = true;
        _onResponse(response);
    }

    private void OnFailed(UnreachableKind kind, string message)
    {
        if (HasResponse)
        {
            Fail(kind, message);        // somebody has it, perhaps a telephone rings: not a second time elsewhere
        }
        else
        {
            Next(kind, message);
        }
    }

    private void Fail(UnreachableKind kind, string message)
    {
        if (!_isOver)
        {
            _isOver = true;
            _onFailed(kind, message);
        }
    }

    private void SendCancel()
    {
        // Once: a second provisional response finds the limit running.
        if (_transaction is not { IsPending: true } invite || _isCancelSent)
        {
            return;
        }

        _isCancelSent = true;
        invite.Limit(_stack.Patience);
        new ClientTransaction(_stack, _queue, Replies.CancelOf(invite.Request), invite.Flow, static _ => { }, static (_, _) => { }).Start();
    }
}
