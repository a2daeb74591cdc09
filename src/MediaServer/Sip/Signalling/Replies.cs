namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>Builds what answers or follows a message by copying from it (RFC 3261, 8.2.6, 9.1 and 17.1.1.3).</summary>
internal static class Replies
{
    public static string PhraseOf(int status) => status switch
    {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        422 => "Session Interval Too Small",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        500 => "Server Internal Error",
        503 => "Service Unavailable",
        505 => "Version Not Supported",
        603 => "Decline",
        _ => (status / 100) switch { 1 => "Progress", 2 => "OK", 3 => "Redirection", 4 => "Request Failure", 5 => "Server Failure", _ => "Global Failure" },
    };

    /// <param name="tag">Our tag for To where the request has none; null leaves To alone (100 Trying).</param>
    public static SipResponse To(SipRequest request, int status, string? reason, string? tag, string product, string body = "")
    {
        var headers = new SipHeaders();
        foreach (var via in request.Headers.All("Via"))
        {
            headers.Add("Via", via);
        }

        headers.Add("From", request.Headers["From"] ?? "");
        var to = request.Headers["To"] ?? "";
        headers.Add("To", tag is null || request.To?.Tag is not null ? to : $"{to};tag={tag}");
        headers.Add("Call-ID", request.CallId);
        headers.Add("CSeq", request.Headers["CSeq"] ?? "");
        if (request.Method == "INVITE" && status is > 100 and < 300)
        {
            foreach (var route in request.Headers.All("Record-Route"))
            {
                headers.Add("Record-Route", route);
            }
        }

        headers.Add("Server", product);
        if (body.Length > 0)
        {
            headers.Add("Content-Type", "application/sdp");
        }

        return new SipResponse(status, reason ?? PhraseOf(status)) { Headers = headers, Body = body };
    }

    /// <summary>The ACK of a refusal: part of the INVITE's own transaction.</summary>
    public static SipRequest AckOfRefusal(SipRequest invite, SipResponse response) => Follow(invite, "ACK", response.Headers["To"] ?? "");

    public static SipRequest CancelOf(SipRequest invite) => Follow(invite, "CANCEL", invite.Headers["To"] ?? "");

    private static SipRequest Follow(SipRequest invite, string method, string to)
    {
        var headers = new SipHeaders();
        headers.Add("Via", invite.Headers["Via"] ?? "");        // ours is alone on its line
        headers.Add("Max-Forwards", "70");
        headers.Add("From", invite.Headers["From"] ?? "");
        headers.Add("To", to);
        headers.Add("Call-ID", invite.CallId);
        headers.Add("CSeq", new CSeq(invite.CSeq.Number, method).ToString());
        foreach (var route in invite.Headers.All("Route"))
        {
            headers.Add("Route", route);
        }

        return new SipRequest(method, invite.RequestUri) { Headers = headers };
    }
}
