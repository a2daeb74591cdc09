using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>A request or response. The body is opaque; SDP is UTF-8.</summary>
internal abstract class SipMessage
{
    public SipHeaders Headers { get; init; } = new();

    public string Body { get; init; } = "";

    public string CallId => Headers["Call-ID"] ?? "";

    public string? ContentType => Headers["Content-Type"];

    /// <summary>The sequence number; only in messages whose <see cref="SipParser"/> found it good.</summary>
    public CSeq CSeq => CSeq.TryParse(Headers["CSeq"], out var cseq) ? cseq : default;

    public Via? TopVia => Via.TryParse(Headers.Values("Via").FirstOrDefault(), out var via) ? via : null;

    public NameAddress? From => NameAddress.TryParse(Headers["From"], out var from) ? from : null;

    public NameAddress? To => NameAddress.TryParse(Headers["To"], out var to) ? to : null;

    public NameAddress? Contact => NameAddress.TryParse(Headers.Values("Contact").FirstOrDefault(), out var contact) ? contact : null;
}

internal sealed class SipRequest(string method, string requestUri) : SipMessage
{
    public string Method => method;

    /// <summary>As it was written: it may be of a scheme we do not know.</summary>
    public string RequestUri => requestUri;

    /// <summary>The start line's <c>SIP/2.0</c>; another one is answered 505.</summary>
    public string Version { get; init; } = "SIP/2.0";

    public override string ToString() => $"{method} {CSeq}";
}

internal sealed class SipResponse(int status, string reason) : SipMessage
{
    /// <summary>100 to 699.</summary>
    public int Status => status;

    public string Reason => reason;

    public bool IsProvisional => status < 200;

    public bool IsSuccess => status is >= 200 and < 300;

    public override string ToString() => $"{status} {CSeq}";
}

/// <summary>CSeq: number and method (RFC 3261, 20.16).</summary>
internal readonly record struct CSeq(uint Number, string Method)
{
    public static bool TryParse([NotNullWhen(true)] string? text, out CSeq cseq)
    {
        cseq = default;
        var parts = text?.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        if (parts is not { Length: 2 } || !uint.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number > int.MaxValue || !HeaderText.IsToken(parts[1]))
        {
            return false;
        }

        cseq = new CSeq(number, parts[1]);
        return true;
    }

    public override string ToString() => $"{Number} {Method}";
}
