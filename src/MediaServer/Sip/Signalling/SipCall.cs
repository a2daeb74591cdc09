using System.Diagnostics.CodeAnalysis;
using System.Net;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>
/// One call, from the INVITE to its end. Everything that happens to it runs on its own <see cref="SerialQueue"/>, one thing at a time:
/// messages, timers and what its owner asks. No member takes a lock, and those that may be called from anywhere only post.
/// </summary>
[SuppressMessage("Reliability", "CA1001", Justification = "Ended outlives the call, and a source without timer holds nothing.")]
internal abstract partial class SipCall
{
    private readonly CancellationTokenSource _ended = new();
    private readonly TaskCompletionSource _hungUp = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SessionTimer _session;
    private int _serverTransactions;
    private Flow? _held;

    private protected SipCall(SipStack stack, string callId, string contactUser)
    {
        (Stack, CallId, ContactUser) = (stack, callId, contactUser);
        Queue = stack.NewQueue();
        Queue.OnFault = () => Abort(new HangUp(HangUpCause.Protocol));
        Ended = _ended.Token;
        _session = new SessionTimer(stack, Queue, RefreshSession, () => Abort(new HangUp(HangUpCause.SessionExpired)));
        _reInviteAgain = stack.NewTimer(Queue, SendReInvite);
        _referLimit = stack.NewTimer(Queue, () => EndRefer(new ReferOutcome(ReferKind.Unreported, 0, "No report came in time.")));
    }

    public string CallId { get; }

    public string LocalTag { get; } = SipIds.Tag();

    /// <summary>Null until the peer is known: in an outgoing call until it is answered.</summary>
    public string? RemoteTag => Dialog?.RemoteTag;

    /// <summary>Of the peer's INVITE or of its 2xx; empty before.</summary>
    public SipHeaders RemoteHeaders { get; private protected set; } = new();

    /// <summary>Cancelled when the call is over, however it ended.</summary>
    public CancellationToken Ended { get; }

    internal SerialQueue Queue { get; }

    private protected SipStack Stack { get; }

    private protected string ContactUser { get; }

    private protected Dialog? Dialog { get; set; }

    /// <summary>The flow the peer was last met on.</summary>
    private protected Flow? Flow { get; private set; }

    private protected ICallObserver? Listener { get; set; }

    private protected DigestClient Credentials => new(AuthUsername, AuthPassword);

    private protected virtual string? AuthUsername => null;

    private protected virtual string? AuthPassword => null;

    /// <summary>Answered, and not yet over.</summary>
    private protected bool IsEstablished { get; set; }

    private protected bool IsOver { get; private set; }

    /// <summary>Our latest SDP, for refreshing the session with.</summary>
    private protected string LocalSdp { get; set; } = "";

    private protected string RemoteSdp { get; set; } = "";

    /// <summary>
    /// Ends the call in the way its state asks for: CANCEL, a refusal or BYE. Completes when the peer has answered, or will not any more
    /// (at most 32 s). A call that is over is left alone.
    /// </summary>
    /// <param name="reason">For a Reason header (RFC 3326), such as <c>Q.850;cause=16</c>.</param>
    public Task HangUpAsync(string? reason = null)
    {
        Queue.Post(() =>
        {
            if (IsOver)
            {
                _hungUp.TrySetResult();
            }
            else if (IsEstablished)
            {
                HangUp(reason);
            }
            else
            {
                GiveUp();
            }
        });
        return _hungUp.Task;
    }

    /// <summary>Ends the call because the user agent stops.</summary>
    internal Task StopAsync()
    {
        Queue.Post(() =>
        {
            if (!IsOver)
            {
                Abort(new HangUp(HangUpCause.Stopped));
            }
        });
        return _hungUp.Task;
    }

    /// <summary>Before the answer: CANCEL or refuse.</summary>
    private protected abstract void GiveUp();

    /// <summary>A BYE may have to wait for the ACK of our answer.</summary>
    private protected virtual bool TryPutOffHangUp(string? reason) => false;

    /// <summary>Where requests of the dialog go.</summary>
    private protected Route RouteOf(Dialog dialog)
    {
        var hop = dialog.NextHop;
        if (Flow is not { IsOpen: true } flow)
        {
            return new Route(hop);
        }

        if (hop.Host.Length == 0)
        {
            return new Route(hop, null, flow);
        }

        var address = hop.Address;
        if (flow.IsReliable)
        {
            // A peer that connected to us is reached that way, and a proxy or callee we are connected to needs no second connection.
            var isSame = (flow.IsInbound && !dialog.HasRoutes) || flow.Remote.Address.Equals(address) || IsHidden(address, flow);
            return new Route(hop, null, isSame ? flow : null);
        }

        // Behind a NAT a telephone writes its private address into Contact: what it sent came from the one that works.
        return new Route(hop, null, IsHidden(address, flow) ? flow : null);
    }

    /// <summary>Tells the call which flow the peer is met on, and keeps it open.</summary>
    private protected void Meet(Flow flow)
    {
        Flow = flow;
        if (_held != flow && !IsOver)
        {
            _held?.Release();
            _held = flow;
            flow.Hold();
        }
    }

    /// <summary>Sends a request in the dialog.</summary>
    private protected Exchange Send(Dialog dialog, string method, Action<SipResponse> onFinal, Action<UnreachableKind, string> onFailed, Action<SipRequest, Flow>? complete = null, string body = "", string bodyType = "application/sdp")
    {
        var exchange = new Exchange(
            Stack,
            Queue,
            RouteOf(dialog),
            flow =>
            {
                var request = dialog.Request(method, dialog.NextSequence(), body, bodyType);
                request.Headers.Add("User-Agent", Stack.Options.Product);
                complete?.Invoke(request, flow);
                return request;
            },
            Credentials,
            response =>
            {
                if (!response.IsProvisional)
                {
                    onFinal(response);
                }
            },
            onFailed);
        exchange.Start();
        return exchange;
    }

    /// <summary>Says BYE on a dialog.</summary>
    private protected void SayBye(Dialog dialog, string? reason, Action? done = null)
    {
        void Complete(SipRequest request, Flow flow)
        {
            if (reason is not null && HeaderText.IsSafe(reason))
            {
                request.Headers.Add("Reason", reason);
            }
        }

        Send(dialog, "BYE", _ => done?.Invoke(), (_, _) => done?.Invoke(), Complete);
    }

    /// <summary>The call is over; its owner hears of it unless it was the owner's own wish.</summary>
    private protected void End(HangUp? reason)
    {
        if (IsOver)
        {
            return;
        }

        var wasEstablished = IsEstablished;
        (IsOver, IsEstablished) = (true, false);
        _session.Stop();
        _reInviteAgain.Stop();
        StopWaiting();
        OnOver();
        EndRefer(new ReferOutcome(ReferKind.Unreported, 0, "The call ended before the transfer was reported."));
        EndReInvite(new ReInviteOutcome(481, "The call is over.", null));
        _held?.Release();
        _held = null;
        Stack.Calls.TryRemove((CallId, LocalTag), out _);
        _ = _ended.CancelAsync();       // what listens runs elsewhere
        if (wasEstablished && reason is not null)
        {
            Listener?.OnHangUp(reason);
        }
    }

    private protected virtual void OnOver()
    {
    }

    /// <summary>Completes whoever waits in <see cref="HangUpAsync"/>.</summary>
    private protected void HangUpDone() => _hungUp.TrySetResult();

    /// <summary>Ends the call on our side for a reason that is not its owner's.</summary>
    private protected void Abort(HangUp reason)
    {
        if (IsOver)
        {
            HangUpDone();
            return;
        }

        if (!IsEstablished)
        {
            GiveUp();
            return;
        }

        var dialog = Dialog!;
        End(reason);
        SayBye(dialog, null, HangUpDone);
    }

    private static bool IsHidden(IPAddress? contact, Flow flow) => contact is not null && IsPrivate(contact) && !IsPrivate(flow.Remote.Address);

    private static bool IsPrivate(IPAddress address)
    {
        if (IPAddress.IsLoopback(address) || address.IsIPv6LinkLocal || address.IsIPv6UniqueLocal || address.Equals(IPAddress.Any))
        {
            return true;
        }

        var octets = address.GetAddressBytes();
        return octets.Length == 4 && octets switch
        {
            [10, ..] or [192, 168, ..] or [169, 254, ..] => true,
            [172, var b, ..] => b is >= 16 and <= 31,
            [100, var b, ..] => b is >= 64 and <= 127,
            _ => false,
        };
    }

    private void HangUp(string? reason)
    {
        if (TryPutOffHangUp(reason))
        {
            return;
        }

        var dialog = Dialog!;
        End(null);
        SayBye(dialog, reason, HangUpDone);
    }
}
