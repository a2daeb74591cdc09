namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>What both sides keep of each other after a 2xx (RFC 3261, 12). Lives on the call's queue.</summary>
internal sealed class Dialog
{
    private readonly List<string> _routes;
    private uint _localSequence;
    private long _remoteSequence;

    private Dialog(string callId, string local, string remote, string remoteTag, SipUri remoteTarget, List<string> routes, uint localSequence, long remoteSequence)
    {
        (CallId, Local, Remote, RemoteTag, RemoteTarget) = (callId, local, remote, remoteTag, remoteTarget);
        (_routes, _localSequence, _remoteSequence) = (routes, localSequence, remoteSequence);
    }

    public string CallId { get; }

    /// <summary>Our From header, tag included.</summary>
    public string Local { get; }

    /// <summary>The peer's To header, tag included.</summary>
    public string Remote { get; }

    public string RemoteTag { get; }

    /// <summary>The peer's Contact, refreshed by re-INVITE and UPDATE.</summary>
    public SipUri RemoteTarget { get; set; }

    public bool HasRoutes => _routes.Count > 0;

    /// <summary>Where requests are sent: the first route or the peer itself.</summary>
    public SipUri NextHop => HasRoutes && NameAddress.TryParse(_routes[0], out var first) ? first.Uri : RemoteTarget;

    /// <summary>Of a caller, from the callee's response. Null: the response names no contact, so there is no way to the peer.</summary>
    public static Dialog? OfCaller(SipRequest invite, SipResponse response)
    {
        if (response.Contact is not { } contact || response.To?.Tag is not { } tag)
        {
            return null;
        }

        var routes = response.Headers.Values("Record-Route").Reverse().ToList();
        return new Dialog(invite.CallId, invite.Headers["From"]!, response.Headers["To"]!, tag, contact.Uri, routes, invite.CSeq.Number, -1);
    }

    /// <summary>Of a callee, from the INVITE. Its From may lack a tag when the peer is of RFC 2543.</summary>
    public static Dialog OfCallee(SipRequest invite, string localTag)
    {
        var remoteTag = invite.From?.Tag ?? "";
        return new Dialog(
            invite.CallId,
            $"{invite.Headers["To"]};tag={localTag}",
            invite.Headers["From"]!,
            remoteTag,
            invite.Contact!.Uri,
            [.. invite.Headers.Values("Record-Route")],
            SipIds.CSeq(),
            invite.CSeq.Number);
    }

    public uint NextSequence() => ++_localSequence;

    /// <summary>Whether a request is in order; one that is, is remembered.</summary>
    public bool TakesInOrder(uint sequence)
    {
        if (sequence <= _remoteSequence)
        {
            return false;
        }

        _remoteSequence = sequence;
        return true;
    }

    /// <summary>A request in the dialog, without Via (RFC 3261, 12.2.1.1; strict routers: 12.2.1.1 with 16.12.1.2).</summary>
    public SipRequest Request(string method, uint sequence, string body = "", string bodyType = "application/sdp")
    {
        var headers = new SipHeaders();
        headers.Add("Max-Forwards", "70");
        headers.Add("From", Local);
        headers.Add("To", Remote);
        headers.Add("Call-ID", CallId);
        headers.Add("CSeq", new CSeq(sequence, method).ToString());
        var uri = RemoteTarget;
        if (HasRoutes)
        {
            IEnumerable<string> routes = _routes;
            if (NameAddress.TryParse(_routes[0], out var first) && !first.Uri.IsLoose)
            {
                uri = first.Uri;
                routes = _routes.Skip(1).Append($"<{RemoteTarget}>");
            }

            foreach (var route in routes)
            {
                headers.Add("Route", route);
            }
        }

        if (body.Length > 0)
        {
            headers.Add("Content-Type", bodyType);
        }

        return new SipRequest(method, uri.ToString()) { Headers = headers, Body = body };
    }
}
