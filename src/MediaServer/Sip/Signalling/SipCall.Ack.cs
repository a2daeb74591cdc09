namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <content>ACK to 2xx: no transaction of its own, sent once for each copy of the 2xx (RFC 3261, 13.2.2.4).</content>
internal abstract partial class SipCall
{
    private const int MaxAcks = 16;

    private readonly Dictionary<(string RemoteTag, uint Sequence), (ReadOnlyMemory<byte> Bytes, Flow? Flow)> _acks = [];

    private protected void Acknowledge(Dialog dialog, SipRequest invite)
    {
        var key = (dialog.RemoteTag, invite.CSeq.Number);
        if (_acks.TryGetValue(key, out var sent))
        {
            sent.Flow?.TrySend(sent.Bytes);     // without a flow its way is being found
            return;
        }

        if (_acks.Count >= MaxAcks)
        {
            _acks.Remove(_acks.Keys.First());
        }

        _acks[key] = default;
        _ = FindAsync(RouteOf(dialog), flow => SendAck(dialog, invite, key, flow));     // catches everything; the peer repeats its 2xx until an ACK arrives
    }

    private void SendAck(Dialog dialog, SipRequest invite, (string RemoteTag, uint Sequence) key, Flow? flow)
    {
        if (flow is null)
        {
            _acks.Remove(key);      // the next copy tries again
            return;
        }

        var ack = dialog.Request("ACK", invite.CSeq.Number);
        var (host, port) = Stack.Network.SelfOn(flow);
        var headers = new SipHeaders();
        headers.Add("Via", $"SIP/2.0/{flow.Transport.ToString().ToUpperInvariant()} {host}:{port};branch={SipIds.Branch()};rport");
        foreach (var (name, value) in ack.Headers)
        {
            headers.Add(name, value);
        }

        // The INVITE's credentials (RFC 3261, 22.1): an ACK cannot be challenged.
        foreach (var name in (ReadOnlySpan<string>)["Authorization", "Proxy-Authorization"])
        {
            foreach (var value in invite.Headers.All(name))
            {
                headers.Add(name, value);
            }
        }

        var bytes = SipWriter.Write(new SipRequest("ACK", ack.RequestUri) { Headers = headers });
        _acks[key] = (bytes, flow);
        flow.TrySend(bytes);
    }

    private async Task FindAsync(Route route, Action<Flow?> found)
    {
        Flow? flow = null;
        try
        {
            flow = route.Flow is { IsOpen: true } open ? open : await OpenFirstAsync(route);
        }
        catch (UnreachableException)
        {
            // Told by the null.
        }
#pragma warning disable CA1031 // a bug in here must not leave the call waiting
        catch (Exception e)
#pragma warning restore CA1031
        {
            Queue.Post(() => throw new InvalidOperationException("An ACK could not be sent.", e));
            return;
        }

        Queue.Post(() => found(flow));
    }

    private async Task<Flow> OpenFirstAsync(Route route)
    {
        var destinations = await Stack.Network.ResolveAsync(route.NextHop, route.Transport);
        return await Stack.Network.OpenAsync(destinations[0]);
    }
}
