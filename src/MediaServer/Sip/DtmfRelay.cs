namespace VoicePlatform.MediaServer.Sip;

/// <summary>Digits in INFO requests, from exchanges that send none in RTP.</summary>
internal static class DtmfRelay
{
    private const int MaxBody = 256;

    /// <summary>The digit of a body of type application/dtmf-relay ("Signal=5") or application/dtmf ("5"); null when there is none.</summary>
    public static char? Read(string contentType, string body)
    {
        if (body.Length > MaxBody || !contentType.StartsWith("application/dtmf", StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        var text = body;
        if (contentType.StartsWith("application/dtmf-relay", StringComparison.OrdinalIgnoreCase))
        {
            var signal = text.Split('\n').FirstOrDefault(line => line.TrimStart().StartsWith("Signal", StringComparison.OrdinalIgnoreCase));
            text = signal is null ? "" : signal[(signal.IndexOf('=', StringComparison.Ordinal) + 1)..];
        }

        var digit = text.Trim().ToUpperInvariant();
        return digit.Length == 1 && "0123456789*#ABCD".Contains(digit[0], StringComparison.Ordinal) ? digit[0] : null;
    }
}
