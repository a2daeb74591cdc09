using System.Net;
using System.Net.Sockets;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>One OPTIONS outside of any call.</summary>
internal sealed class Ping(SipStack stack, SipUri target, SipTransport? transport, DigestClient digest)
{
    private readonly string _callId = SipIds.CallId();
    private readonly string _tag = SipIds.Tag();
    private readonly TaskCompletionSource<IPEndPoint> _udp = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private uint _sequence = SipIds.CSeq();

    public async Task<SipResponseSummary> RunAsync(CancellationToken ct)
    {
        var startedAt = stack.Clock.GetTimestamp();
        var outcome = new TaskCompletionSource<SipResponseSummary>(TaskCreationOptions.RunContinuationsAsynchronously);
        var queue = stack.NewQueue();
        queue.OnFault = () => Fail(UnreachableKind.Local, "The SIP user agent had a fault.");
        new Exchange(stack, queue, new Route(target, transport), Build, digest, OnResponse, Fail).Start();
        using var answered = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var probing = ProbeAsync(outcome, Fail, answered.Token);
        try
        {
            return await outcome.Task.WaitAsync(ct);
        }
        finally
        {
            await answered.CancelAsync();
            await probing;
        }

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

    /// <summary>
    /// Over UDP a closed port tells only a connected socket that it is closed (ICMP): one of its own sends the peer a keep-alive, which
    /// needs no answer, and fails the ping when it is refused.
    /// </summary>
    private async Task ProbeAsync(TaskCompletionSource<SipResponseSummary> outcome, Action<UnreachableKind, string> fail, CancellationToken ct)
    {
        try
        {
            var remote = await _udp.Task.WaitAsync(ct);
            using var socket = new Socket(remote.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            await socket.ConnectAsync(remote, ct);
            await socket.SendAsync("\r\n\r\n"u8.ToArray(), ct);
            await socket.ReceiveAsync(new byte[4], ct);
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused && !outcome.Task.IsCompleted)
        {
            fail(UnreachableKind.ConnectionRefused, $"{await _udp.Task} by UDP refused: nothing listens there.");
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            // The response, or its absence, says the rest.
        }
    }

    private SipRequest Build(Flow flow)
    {
        if (!flow.IsReliable)
        {
            _udp.TrySetResult(flow.Remote);
        }

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
