namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>Finds the session description in a body, alone or among the parts of a multipart one (RFC 5621).</summary>
internal static class MessageBody
{
    private const int MaxParts = 16;

    /// <summary>False: there is a body and no SDP in it, which is answered 415.</summary>
    /// <param name="message">The message.</param>
    /// <param name="sdp">Null where there is no body.</param>
    public static bool TryGetSdp(SipMessage message, out string? sdp)
    {
        sdp = null;
        if (message.Body.Length == 0)
        {
            return true;
        }

        if (message.Headers["Content-Encoding"] is { Length: > 0 } encoding && !encoding.Equals("identity", StringComparison.OrdinalIgnoreCase))
        {
            return false;
        }

        var type = message.ContentType ?? "";
        var bare = BareType(type);
        if (bare.Equals("application/sdp", StringComparison.OrdinalIgnoreCase))
        {
            sdp = message.Body;
        }
        else if (bare.StartsWith("multipart/", StringComparison.OrdinalIgnoreCase) && HeaderText.Parameters(type).GetValueOrDefault("boundary") is { Length: > 0 } boundary)
        {
            sdp = FromParts(message.Body, "--" + boundary);
        }

        return sdp is not null;
    }

    public static string? Sdp(SipMessage message) => TryGetSdp(message, out var sdp) ? sdp : null;

    public static string BareType(string type)
    {
        var semicolon = type.IndexOf(';', StringComparison.Ordinal);
        return (semicolon < 0 ? type : type[..semicolon]).Trim();
    }

    private static string? FromParts(string body, string delimiter)
    {
        var at = body.IndexOf(delimiter, StringComparison.Ordinal);
        for (var i = 0; i < MaxParts && at >= 0; i++)
        {
            var start = at + delimiter.Length;
            at = body.IndexOf(delimiter, start, StringComparison.Ordinal);
            var part = (at < 0 ? body[start..] : body[start..at]).TrimStart('\r', '\n');
            var head = part.IndexOf("\r\n\r\n", StringComparison.Ordinal);
            if (head >= 0 && part[..head].Contains("application/sdp", StringComparison.OrdinalIgnoreCase))
            {
                return part[(head + 4)..];
            }
        }

        return null;
    }
}
