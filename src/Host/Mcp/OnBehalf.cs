using System.Security.Cryptography;

namespace VoicePlatform.Host.Mcp;

/// <summary>The address a request of this host to itself is made for. Nobody else knows the word that makes it believed.</summary>
internal static class OnBehalf
{
    public const string Header = "x-voiceplatform-on-behalf";

    private static readonly string Word = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));

    public static string Of(HttpContext http) => $"{Word} {http.Connection.RemoteIpAddress}";

    /// <summary>Null when the request is nobody's but the sender's own.</summary>
    public static string? AddressOf(HttpRequest request) =>
        request.Headers[Header].ToString().Split(' ') is [var word, var address] && CryptographicOperations.FixedTimeEquals(System.Text.Encoding.UTF8.GetBytes(word), System.Text.Encoding.UTF8.GetBytes(Word))
            ? address
            : null;
}
