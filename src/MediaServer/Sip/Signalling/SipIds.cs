using System.Security.Cryptography;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>Identifiers nobody can guess: whoever does not see our messages cannot answer them.</summary>
internal static class SipIds
{
    public static string Branch() => Via.MagicCookie + RandomNumberGenerator.GetHexString(20, lowercase: true);

    public static string Tag() => RandomNumberGenerator.GetHexString(16, lowercase: true);

    public static string CallId() => RandomNumberGenerator.GetHexString(32, lowercase: true);

    /// <summary>RFC 3261, 8.1.1.5 wants it below 2³¹; small leaves room and reads well.</summary>
    public static uint CSeq() => (uint)RandomNumberGenerator.GetInt32(1, 10_000);
}
