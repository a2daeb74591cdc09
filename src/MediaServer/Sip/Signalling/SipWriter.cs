using System.Text;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>Writes messages as they go out. Content-Length is always written, by the body's bytes.</summary>
internal static class SipWriter
{
    public static byte[] Write(SipMessage message)
    {
        var text = new StringBuilder(1_024);
        switch (message)
        {
            case SipRequest request:
                text.Append(request.Method).Append(' ').Append(request.RequestUri).Append(" SIP/2.0\r\n");
                break;
            case SipResponse response:
                text.Append("SIP/2.0 ").Append(response.Status).Append(' ').Append(Safe(response.Reason)).Append("\r\n");
                break;
        }

        foreach (var (name, value) in message.Headers)
        {
            if (!name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase))
            {
                // What we write may hold what a peer or tenant wrote: nothing of it may begin a line of its own.
                text.Append(name).Append(": ").Append(Safe(value)).Append("\r\n");
            }
        }

        text.Append("Content-Length: ").Append(Encoding.UTF8.GetByteCount(message.Body)).Append("\r\n\r\n").Append(message.Body);
        return Encoding.UTF8.GetBytes(text.ToString());
    }

    private static string Safe(string value) => HeaderText.IsSafe(value) ? value : string.Create(value.Length, value, static (to, from) =>
    {
        for (var i = 0; i < from.Length; i++)
        {
            to[i] = char.IsControl(from[i]) ? ' ' : from[i];
        }
    });
}
