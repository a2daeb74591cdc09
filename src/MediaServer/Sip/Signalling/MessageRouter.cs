using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>Finds for each message the transaction or call it belongs to, and answers those that belong to none. On the transports' threads.</summary>
internal sealed partial class MessageRouter(IIncomingCalls incoming, ILogger log) : IMessageSink, IAsyncDisposable
{
    private readonly ConcurrentDictionary<IncomingCall, Task> _handlers = new();
    private readonly ConcurrentDictionary<string, IncomingCall> _invites = new();      // by what stays the same when a proxy forks
    private SipStack _stack = null!;
    private FloodGate _gate = null!;

    private UserAgentCounters Counters => _stack.Counters;

    public void Attach(SipStack stack) => (_stack, _gate) = (stack, new FloodGate(stack.Options, stack.Clock));

    public void OnMessage(ReadOnlySpan<byte> bytes, Flow flow)
    {
        try
        {
            var parsed = bytes.Length <= _stack.Options.MaxMessageBytes ? SipParser.Parse(bytes) : default;
            switch (parsed.Message)
            {
                case SipRequest request:
                    Counters.Count(ref Counters.Messages);
                    OnRequest(request, parsed.Fault, flow);
                    break;
                case SipResponse response when parsed.Fault is null:
                    Counters.Count(ref Counters.Messages);
                    OnResponse(response);
                    break;
                default:
                    Counters.Count(ref Counters.Rubbish);
                    break;
            }
        }
#pragma warning disable CA1031 // one peer's message must not end the port or connection
        catch (Exception e)
#pragma warning restore CA1031
        {
            Counters.Count(ref Counters.Faults);
            Fault(e);
        }
    }

    /// <summary>Waits for the handlers, whose calls have ended, as long as stopping may take.</summary>
    public async ValueTask DisposeAsync() =>
        await Task.WhenAll(_handlers.Values).WaitAsync(_stack.Options.StopTimeout, _stack.Clock).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    private void OnResponse(SipResponse response)
    {
        if (_stack.Clients.TryGetValue(ClientTransaction.KeyOf(response.TopVia!, response.CSeq.Method), out var transaction))
        {
            transaction.Queue.PostMessage(() => transaction.OnResponse(response));
        }
        else
        {
            Counters.Count(ref Counters.Strays);
        }
    }

    private void OnRequest(SipRequest request, string? fault, Flow flow)
    {
        if (fault is not null)
        {
            OnMalformed(request, fault, flow);
            return;
        }

        var via = request.TopVia!.Seen(flow.Remote);
        SeeVia(request, via);
        var invite = ServerTransaction.KeyOf(request, via, "INVITE");
        switch (request.Method)
        {
            case "ACK" when _stack.Servers.TryGetValue(invite, out var refused):
                refused.Queue.PostMessage(refused.OnAck);
                return;
            case "ACK":
                if (FindCall(request) is { } answered)
                {
                    answered.Queue.PostMessage(() => answered.OnAck(request));
                }

                return;
            case "CANCEL" when _stack.Servers.TryGetValue(invite, out var pending):
                OnCancel(request, pending, flow);
                return;
        }

        var key = ServerTransaction.KeyOf(request, via, request.Method);
        if (_stack.Servers.TryGetValue(key, out var known))
        {
            known.Queue.PostMessage(known.OnRepeated);
        }
        else if (request.To?.Tag is not null && FindCall(request) is { } call)
        {
            OnRequestInCall(request, call, flow, key);
        }
        else if (_gate.AdmitsRequest(flow.Remote.Address))
        {
            OnStranger(request, flow, key);
        }
        else
        {
            Counters.Count(ref Counters.DroppedFlood);
        }
    }

    private SipCall? FindCall(SipRequest request) =>
        request.To?.Tag is { } tag && _stack.Calls.TryGetValue((request.CallId, tag), out var call) ? call : null;

    private void OnRequestInCall(SipRequest request, SipCall call, Flow flow, string key)
    {
        if (!call.TryReserve())
        {
            Counters.Count(ref Counters.DroppedFull);
            return;
        }

        var transaction = new ServerTransaction(_stack, call.Queue, request, flow, key) { OnGone = call.Release };
        if (_stack.Servers.TryAdd(key, transaction))
        {
            call.Queue.Post(() => call.OnRequest(transaction));     // no more than can be reserved
        }
        else
        {
            call.Release();
        }
    }

    private void OnCancel(SipRequest cancel, ServerTransaction pending, Flow flow)
    {
        if (FindIncoming(pending) is { } call)
        {
            call.Queue.PostMessage(() => call.OnCancel(cancel, flow));
        }
        else
        {
            Answer(cancel, 200, null, flow);        // of a re-INVITE, which is answered at once
        }
    }

    private IncomingCall? FindIncoming(ServerTransaction pending) =>
        _invites.TryGetValue(MergeKey(pending.Request), out var call) && call.Transaction == pending ? call : null;

    private void OnMalformed(SipRequest request, string fault, Flow flow)
    {
        Counters.Count(ref Counters.Malformed);
        if (request.Method != "ACK" && request.TopVia is { } via && _gate.AdmitsRequest(flow.Remote.Address))
        {
            SeeVia(request, via.Seen(flow.Remote));
            Answer(request, 400, fault, flow);
        }
    }

    /// <summary>Requests that belong to no call.</summary>
    private void OnStranger(SipRequest request, Flow flow, string key)
    {
        if (!request.Version.Equals("SIP/2.0", StringComparison.OrdinalIgnoreCase))
        {
            Answer(request, 505, null, flow);
        }
        else if (request.To?.Tag is not null || request.Method == "CANCEL")
        {
            Answer(request, 481, null, flow);
        }
        else if (request.Method == "INVITE")
        {
            OnInvite(request, flow, key);
        }
        else if (request.Method == "OPTIONS")
        {
            Answer(request, 200, null, flow, ("Allow", SipStack.Allow), ("Accept", "application/sdp"), ("Supported", "timer"));
        }
        else
        {
            Answer(request, 405, null, flow, ("Allow", SipStack.Allow));
        }
    }

    private void OnInvite(SipRequest invite, Flow flow, string key)
    {
        if (!SipUri.TryParse(invite.RequestUri, out var uri))
        {
            var isOther = !invite.RequestUri.StartsWith("sip", StringComparison.OrdinalIgnoreCase) && !invite.RequestUri.StartsWith("tel:", StringComparison.OrdinalIgnoreCase);
            Answer(invite, isOther ? 416 : 400, isOther ? null : "Malformed Request-URI", flow);
        }
        else if (invite.Headers["Max-Forwards"] == "0")
        {
            Answer(invite, 483, null, flow);        // we pass calls on, and seventy hops are a loop (RFC 7332)
        }
        else if (Requirements.Unsupported(invite) is { Length: > 0 } unsupported)
        {
            Answer(invite, 420, null, flow, ("Unsupported", unsupported));
        }
        else if (invite.Contact is null)
        {
            Answer(invite, 400, "Missing or malformed Contact", flow);
        }
        else if (!MessageBody.TryGetSdp(invite, out var offer))
        {
            Answer(invite, 415, null, flow, ("Accept", "application/sdp"), ("Accept-Encoding", "identity"));
        }
        else if (Requirements.IsSessionTooShort(invite, _stack.Options))
        {
            Answer(invite, 422, null, flow, ("Min-SE", Requirements.Seconds(_stack.Options.MinSessionExpires)));
        }
        else if (_stack.IsStopping || _stack.Calls.Count >= _stack.Options.MaxCalls || !_gate.AdmitsCall())
        {
            Counters.Count(ref Counters.RefusedFull);
            Answer(invite, 503, null, flow, ("Retry-After", "5"));
        }
        else
        {
            Take(new IncomingCall(_stack, invite, uri, flow, offer, key), key, flow);
        }
    }

    private void Take(IncomingCall call, string key, Flow flow)
    {
        var merged = MergeKey(call.Invite);
        if (!_invites.TryAdd(merged, call))
        {
            Answer(call.Invite, 482, null, flow);       // the same call by another way (RFC 3261, 8.2.2.2)
            return;
        }

        if (!_stack.Servers.TryAdd(key, call.Transaction))
        {
            _invites.TryRemove(merged, out _);
            return;
        }

        call.Transaction.OnGone = () => _invites.TryRemove(merged, out _);
        _stack.Calls[(call.CallId, call.LocalTag)] = call;
        call.Start();
        var handling = Task.Run(() => HandleAsync(call));
        _handlers[call] = handling;
        _ = handling.ContinueWith(_ => _handlers.TryRemove(call, out var _), TaskScheduler.Default);       // cannot fail
    }

    private async Task HandleAsync(IncomingCall call)
    {
        try
        {
            await incoming.OnInviteAsync(call, call.Ended);
            call.Undecided(480);
        }
        catch (OperationCanceledException) when (call.Ended.IsCancellationRequested)
        {
            // The caller gave up.
        }
#pragma warning disable CA1031 // whatever it is, the caller gets an answer
        catch (Exception e)
#pragma warning restore CA1031
        {
            HandlerFailed(e);
            call.Undecided(500);
        }
    }

    private static string MergeKey(SipRequest invite) => $"{invite.CallId} {invite.From?.Tag} {invite.CSeq.Number}";

    private static void SeeVia(SipRequest request, Via via)
    {
        // Only the topmost changes, which may share its line with others.
        var rest = request.Headers.Values("Via").Skip(1).ToList();
        request.Headers.Set("Via", via.ToString());
        foreach (var further in rest)
        {
            request.Headers.Add("Via", further);
        }
    }

    /// <summary>Answers without state: a copy of the request is answered again. The tag is the same each time, as the answer must be.</summary>
    private void Answer(SipRequest request, int status, string? reason, Flow flow, params ReadOnlySpan<(string Name, string Value)> headers)
    {
        var tag = request.To?.Tag is null ? _stack.TagFor(request) : null;
        var response = Replies.To(request, status, reason, tag, _stack.Options.Product);
        foreach (var (name, value) in headers)
        {
            response.Headers.Add(name, value);
        }

        ServerTransaction.ReplyFlow(_stack, request, flow).TrySend(SipWriter.Write(response));
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "The SIP user agent had a fault with a message; it is dropped.")]
    private partial void Fault(Exception fault);

    [LoggerMessage(Level = LogLevel.Error, Message = "An incoming call's handler failed; the call is refused.")]
    private partial void HandlerFailed(Exception fault);
}
