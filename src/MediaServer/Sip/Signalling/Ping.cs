namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>One OPTIONS outside of any call.</summary>
internal sealed class Ping(SipStack stack, SipUri target, SipTransport? transport, DigestClient digest)
{
    private readonly string _callId = SipIds.CallId();
    private readonly string _tag = SipIds.Tag();
    private uint _sequence = SipIds.CSeq();

    public async Task<SipResponseSummary> RunAsync(CancellationToken ct)
    {
        var startedAt = stack.Clock.GetTimestamp();
        var outcome = new TaskCompletionSource<SipResponseSummary>(TaskCreationOptions.RunContinuationsAsynchronously);
        var queue = stack.NewQueue();
        queue.OnFault = () => Fail(UnreachableKind.Local, "The SIP user agent had a fault.");
        new Exchange(stack, queue, new Route(target, transport), Build, digest, OnResponse, Fail).Start();
        return await outcome.Task.WaitAsync(ct);

        void OnResponse(SipResponse response)
        {
            if (!response.IsProvisional)
            {
                outcome.TrySetResult(new SipResponseSummary(
                    response.Status,
                    response.Reason,
                    null,
                    $"{target.Host} answered {response.Status} {response.Reason}.",
                    stack.Clock.GetElapsedTime(startedAt),
                    response.Headers));
            }
        }

        void Fail(UnreachableKind kind, string message) =>
            outcome.TrySetResult(new SipResponseSummary(null, null, kind, message, stack.Clock.GetElapsedTime(startedAt), new SipHeaders()));
    }

    private SipRequest Build(Flow flow)
    {
        var (host, _) = stack.Network.SelfOn(flow);
        var headers = new SipHeaders();
        headers.Add("Max-Forwards", "70");
        headers.Add("From", new NameAddress(new SipUri { User = "ping", Host = host }).WithTag(_tag).ToString());
        headers.Add("To", $"<{target with { Port = null, Parameters = "" }}>");
        headers.Add("Call-ID", _callId);
        headers.Add("CSeq", new CSeq(++_sequence, "OPTIONS").ToString());
        headers.Add("Contact", stack.ContactOn(flow, "ping"));
        headers.Add("Accept", "application/sdp");
        headers.Add("User-Agent", stack.Options.Product);
        return new SipRequest("OPTIONS", target.ToString()) { Headers = headers };
    }
}
