using System.Security.Cryptography;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <content>Changing and refreshing the session from our side.</content>
internal abstract partial class SipCall
{
    private const int MaxGlares = 5;

    private static readonly TimeSpan ReInvitePatience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan RefreshAgain = TimeSpan.FromSeconds(10);

    private readonly QueueTimer _reInviteAgain;
    private QueueTimer? _inviteLimit;
    private TaskCompletionSource<ReInviteOutcome>? _reInvite;
    private string _reInviteOffer = "";
    private int _glares;
    private bool _isInviteOut;
    private bool _isRefreshOut;
    private bool _peerTakesUpdate;

    /// <summary>An offer of ours is out, or a transaction that would collide with one.</summary>
    private bool IsOfferPending => _isInviteOut;

    /// <summary>Whether a caller of ours: its waits after a glare are the longer ones.</summary>
    private protected abstract bool OwnsCallId { get; }

    /// <summary>
    /// Changes the session, such as putting it on hold. When the peer does the same at that moment (491), both wait for a random time as
    /// RFC 3261, 14.1 has it and the offer is made again.
    /// </summary>
    /// <exception cref="SipException">Another re-INVITE is under way.</exception>
    public Task<ReInviteOutcome> ReInviteAsync(string offer, CancellationToken ct)
    {
        var outcome = new TaskCompletionSource<ReInviteOutcome>(TaskCreationOptions.RunContinuationsAsynchronously);
        Queue.Post(() =>
        {
            if (_reInvite is not null)
            {
                outcome.SetException(new SipException("A re-INVITE is under way already."));
            }
            else if (!IsEstablished)
            {
                outcome.SetResult(new ReInviteOutcome(481, "The call is not established.", null));
            }
            else
            {
                (_reInvite, _reInviteOffer, _glares) = (outcome, offer, 0);
                SendReInvite();
            }
        });
        return outcome.Task.WaitAsync(ct);
    }

    /// <summary>Takes what a peer's message says of its abilities.</summary>
    private protected void NotePeer(SipMessage message)
    {
        if (message.Headers["Allow"] is not null)
        {
            _peerTakesUpdate = message.Headers.Lists("Allow", "UPDATE");
        }
    }

    /// <summary>The session timer as the peer's 2xx has it.</summary>
    private protected void TakeSession(SipResponse response)
    {
        NotePeer(response);
        if (SessionExpires.Of(response) is { } session)
        {
            var interval = session.Interval < Stack.Options.MinSessionExpires ? Stack.Options.MinSessionExpires : session.Interval;
            _session.Start(interval, weRefresh: session.Refresher != "uas");
        }
        else
        {
            _session.Stop();
        }
    }

    /// <summary>Our proposal of a session timer in a request.</summary>
    private protected void ProposeSession(SipRequest request, TimeSpan interval, string? refresher)
    {
        request.Headers.Add("Supported", "timer");
        request.Headers.Add("Session-Expires", new SessionExpires(interval, refresher).ToString());
        request.Headers.Add("Min-SE", Requirements.Seconds(interval < Stack.Options.MinSessionExpires ? interval : Stack.Options.MinSessionExpires));
    }

    private void SendReInvite()
    {
        if (!IsEstablished || _reInvite is null)
        {
            return;
        }

        if (_isInviteOut || IsAckAwaited)
        {
            _reInviteAgain.Start(Stack.Options.T1);      // a refresh of ours or a change of the peer's comes first
            return;
        }

        SendInvite(_reInviteOffer, OnReInvited, message => LoseDialog(new ReInviteOutcome(408, message, null)));
    }

    private void SendInvite(string offer, Action<SipResponse> onFinal, Action<string> onFailed)
    {
        var dialog = Dialog!;
        _isInviteOut = true;
        Exchange? exchange = null;
        var isFirst = true;
        exchange = Send(
            dialog,
            "INVITE",
            response =>
            {
                if (response.IsSuccess)
                {
                    Acknowledge(dialog, exchange!.Request!);       // every copy
                }

                if (isFirst)
                {
                    (isFirst, _isInviteOut) = (false, false);
                    onFinal(response);
                }
            },
            (_, message) =>
            {
                _isInviteOut = false;
                onFailed(message);
            },
            CompleteChange,
            offer);
        _inviteLimit?.Stop();
        _inviteLimit = Stack.NewTimer(Queue, () => exchange.Limit(TimeSpan.FromMilliseconds(1)));
        _inviteLimit.Start(ReInvitePatience);
    }

    private void CompleteChange(SipRequest request, Flow flow)
    {
        request.Headers.Add("Contact", Stack.ContactOn(flow, ContactUser));
        request.Headers.Add("Allow", SipStack.Allow);
        ProposeSession(request, _session.Interval ?? Stack.Options.SessionExpires, _session.Interval is null ? null : _session.WeRefresh ? "uac" : "uas");
    }

    private void OnReInvited(SipResponse response)
    {
        _inviteLimit?.Stop();
        if (IsOver)
        {
            return;
        }

        if (response.IsSuccess)
        {
            TakeChange(response);
            LocalSdp = _reInviteOffer;
            RemoteSdp = MessageBody.Sdp(response) ?? RemoteSdp;
            EndReInvite(new ReInviteOutcome(response.Status, response.Reason, MessageBody.Sdp(response) ?? ""));
        }
        else if (response.Status == 491 && ++_glares <= MaxGlares)
        {
            _reInviteAgain.Start(GlareWait());
        }
        else if (response.Status is 408 or 481)
        {
            LoseDialog(new ReInviteOutcome(response.Status, response.Reason, null));
        }
        else
        {
            EndReInvite(new ReInviteOutcome(response.Status, response.Reason, null));
        }
    }

    /// <summary>RFC 3261, 14.1: 2.1 to 4 s where the Call-ID is ours, else up to 2 s, in steps of 10 ms.</summary>
    private TimeSpan GlareWait() => TimeSpan.FromMilliseconds(10 * (OwnsCallId ? RandomNumberGenerator.GetInt32(210, 401) : RandomNumberGenerator.GetInt32(0, 201)));

    private void TakeChange(SipResponse response)
    {
        TakeSession(response);
        if (response.Contact is { } contact)
        {
            Dialog!.RemoteTarget = contact.Uri;
        }
    }

    private void EndReInvite(ReInviteOutcome outcome)
    {
        var waiting = _reInvite;
        _reInvite = null;
        waiting?.TrySetResult(outcome);
    }

    /// <summary>The peer does not know the call, or nobody answers: RFC 3261, 12.2.1.2 ends it.</summary>
    private void LoseDialog(ReInviteOutcome outcome)
    {
        EndReInvite(outcome);
        Abort(new HangUp(HangUpCause.SessionExpired));
    }

    /// <summary>By UPDATE where the peer has it, which cannot collide with an offer, else by re-INVITE with the same SDP.</summary>
    private void RefreshSession()
    {
        if (!IsEstablished || _session.Interval is null)
        {
            return;
        }

        if (_isInviteOut || _isRefreshOut || IsAckAwaited)
        {
            _session.TryAgain(Stack.Options.T2);
        }
        else if (_peerTakesUpdate)
        {
            _isRefreshOut = true;
            Send(Dialog!, "UPDATE", OnRefreshed, (_, _) => Abort(new HangUp(HangUpCause.SessionExpired)), CompleteChange);
        }
        else
        {
            _isRefreshOut = true;
            SendInvite(LocalSdp, OnRefreshed, _ => Abort(new HangUp(HangUpCause.SessionExpired)));
        }
    }

    private void OnRefreshed(SipResponse response)
    {
        _isRefreshOut = false;
        _inviteLimit?.Stop();
        if (IsOver)
        {
            return;
        }

        if (response.IsSuccess)
        {
            TakeChange(response);
            if (MessageBody.Sdp(response) is { } sdp && sdp != RemoteSdp)
            {
                TakeAnswer(sdp);
            }
        }
        else if (response.Status is 408 or 481)
        {
            Abort(new HangUp(HangUpCause.SessionExpired));
        }
        else if (response.Status is 405 or 501 && _peerTakesUpdate)
        {
            _peerTakesUpdate = false;
            RefreshSession();
        }
        else if (response.Status == 422 && SessionExpires.MinimumOf(response) is { } minimum)
        {
            _session.Start(minimum, weRefresh: true);
            RefreshSession();
        }
        else
        {
            // The session goes on until it expires.
            _session.TryAgain(response.Status == 491 ? GlareWait() : RefreshAgain);
        }
    }
}
