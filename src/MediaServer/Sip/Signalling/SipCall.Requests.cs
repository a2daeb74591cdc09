namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <content>What the peer asks within the call.</content>
internal abstract partial class SipCall
{
    private const int MaxServerTransactions = 64;

    private AckWait? _ackWait;

    /// <summary>The 2xx whose ACK is awaited, if any.</summary>
    private protected bool IsAckAwaited => _ackWait is { IsOver: false };

    /// <summary>On the receiving thread: whether there is room for one more request at a time.</summary>
    internal bool TryReserve() => Interlocked.Increment(ref _serverTransactions) <= MaxServerTransactions || Unreserve();

    internal void Release() => Interlocked.Decrement(ref _serverTransactions);

    /// <summary>A request with our tag, once (copies are absorbed by its transaction).</summary>
    internal void OnRequest(ServerTransaction transaction)
    {
        try
        {
            Take(transaction);
        }
        catch
        {
            // The fault ends the call; the transaction, unanswered, would stay.
            Reply(transaction, 500);
            throw;
        }
    }

    private void Take(ServerTransaction transaction)
    {
        var request = transaction.Request;
        if (IsOver || Dialog is not { } dialog || request.From?.Tag is var tag && (tag ?? "") != dialog.RemoteTag)
        {
            Reply(transaction, 481);
            return;
        }

        if (!dialog.TakesInOrder(request.CSeq.Number))
        {
            Reply(transaction, 500, "CSeq out of order");
            return;
        }

        if (Requirements.Unsupported(request) is { Length: > 0 } unsupported)
        {
            Reply(transaction, 420, null, ("Unsupported", unsupported));
            return;
        }

        Meet(transaction.Flow);
        switch (request.Method)
        {
            case "BYE":
                Reply(transaction, 200);
                OnBye(request);
                break;
            case "INVITE" or "UPDATE" when !IsEstablished || IsOfferPending:
                Reply(transaction, IsOfferPending ? 491 : 500, null, ("Retry-After", "1"));
                break;
            case "INVITE" when IsAckAwaited:
                Reply(transaction, 500, "The last INVITE is not acknowledged", ("Retry-After", "2"));
                break;
            case "INVITE":
            case "UPDATE":
                OnSessionChange(transaction, dialog);
                break;
            case "INFO":
                Reply(transaction, 200);
                Listener?.OnInfo(MessageBody.BareType(request.ContentType ?? ""), request.Body);
                break;
            case "OPTIONS":
                Reply(transaction, 200, null, ("Allow", SipStack.Allow), ("Accept", "application/sdp"), ("Supported", "timer"));
                break;
            case "NOTIFY":
                OnNotify(transaction);
                break;
            case "REFER":
                Reply(transaction, 603);
                break;
            default:
                Reply(transaction, 405, null, ("Allow", SipStack.Allow));
                break;
        }
    }

    /// <summary>The ACK of a 2xx.</summary>
    internal void OnAck(SipRequest ack)
    {
        if (_ackWait is { IsOver: false } wait && wait.Fits(ack) && (ack.From?.Tag ?? "") == RemoteTag)
        {
            wait.Stop();
            wait.Acknowledged(ack);
        }
    }

    private protected void AwaitAck(ServerTransaction transaction, Action<SipRequest> acknowledged, Action missing)
    {
        _ackWait?.Stop();
        _ackWait = new AckWait(Stack, transaction, acknowledged, missing);
    }

    private protected void StopWaiting() => _ackWait?.Stop();

    private protected virtual void OnBye(SipRequest bye)
    {
        End(new HangUp(HangUpCause.Peer, bye.Headers["Reason"]));
        HangUpDone();
    }

    private protected void Reply(ServerTransaction transaction, int status, string? reason = null, params ReadOnlySpan<(string Name, string Value)> headers)
    {
        var response = Replies.To(transaction.Request, status, reason, LocalTag, Stack.Options.Product);
        foreach (var (name, value) in headers)
        {
            response.Headers.Add(name, value);
        }

        transaction.Respond(response);
    }

    /// <summary>Decides who refreshes and when, for a 2xx of ours; null: the peer knows nothing of session timers.</summary>
    private protected SessionExpires? AgreeOnSession(SipRequest request)
    {
        var asked = SessionExpires.Of(request);
        var peerKnows = request.Headers.Lists("Supported", "timer");
        if (asked is null && !peerKnows)
        {
            return null;
        }

        var interval = asked?.Interval ?? Stack.Options.SessionExpires;
        if (SessionExpires.MinimumOf(request) is { } minimum && minimum > interval)
        {
            interval = minimum;
        }

        // Whoever does not say gets to do it himself if he can (RFC 4028, 9, table 2).
        var refresher = asked?.Refresher is "uac" or "uas" ? asked.Value.Refresher : asked is not null && peerKnows ? "uac" : "uas";
        return new SessionExpires(interval, refresher);
    }

    /// <summary>The 2xx to INVITE or UPDATE, session timer started.</summary>
    private protected SipResponse Accept(ServerTransaction transaction, string sdp)
    {
        var request = transaction.Request;
        var response = Replies.To(request, 200, null, LocalTag, Stack.Options.Product, sdp);
        response.Headers.Add("Contact", Stack.ContactOn(transaction.Flow, ContactUser));
        response.Headers.Add("Allow", SipStack.Allow);
        response.Headers.Add("Supported", "timer");
        if (AgreeOnSession(request) is { } session)
        {
            if (session.Refresher == "uac")
            {
                response.Headers.Add("Require", "timer");
            }

            response.Headers.Add("Session-Expires", session.ToString());
            _session.Start(session.Interval, weRefresh: session.Refresher == "uas");
        }
        else
        {
            _session.Stop();
        }

        NotePeer(request);
        return response;
    }

    private bool Unreserve()
    {
        Interlocked.Decrement(ref _serverTransactions);
        return false;
    }

    /// <summary>re-INVITE, or UPDATE with or without an offer (RFC 3311).</summary>
    private void OnSessionChange(ServerTransaction transaction, Dialog dialog)
    {
        var request = transaction.Request;
        if (!MessageBody.TryGetSdp(request, out var offer))
        {
            Reply(transaction, 415, null, ("Accept", "application/sdp"));
            return;
        }

        if (Requirements.IsSessionTooShort(request, Stack.Options))
        {
            Reply(transaction, 422, null, ("Min-SE", Requirements.Seconds(Stack.Options.MinSessionExpires)));
            return;
        }

        var isInvite = request.Method == "INVITE";
        string? sdp = "";
        if (isInvite || offer is not null)
        {
            // A mere refresh repeats the last offer (RFC 4028, 7.4): nothing to negotiate, unless the observer wants to.
            sdp = Listener?.OnReInvite(offer);
            if (sdp is null)
            {
                Reply(transaction, 488);
                return;
            }

            (LocalSdp, RemoteSdp) = (sdp, offer ?? RemoteSdp);
        }

        if (request.Contact is { } contact)
        {
            dialog.RemoteTarget = contact.Uri;
        }

        transaction.Respond(Accept(transaction, sdp));
        if (isInvite)
        {
            AwaitAck(transaction, ack => TakeAnswer(offer is null ? MessageBody.Sdp(ack) : null), () => Abort(new HangUp(HangUpCause.NoAck)));
        }
    }

    private void TakeAnswer(string? sdp)
    {
        if (!string.IsNullOrEmpty(sdp))
        {
            RemoteSdp = sdp;
            Listener?.OnAnswer(sdp);
        }
    }
}
