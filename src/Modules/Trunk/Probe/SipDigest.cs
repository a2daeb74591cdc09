using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace VoicePlatform.Trunks.Probe;

/// <summary>Digest credentials for one request (RFC 8760, RFC 7616): MD5 or SHA-256, with or without qop.</summary>
internal static partial class SipDigest
{
    /// <summary>The value of the Authorization header; null when the challenge cannot be answered.</summary>
    public static string? Answer(string challenge, string method, string uri, string username, string password, string cnonce)
    {
        if (!challenge.StartsWith("Digest ", StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        var parts = Part().Matches(challenge).GroupBy(m => m.Groups["name"].Value.ToLowerInvariant())
            .ToDictionary(g => g.Key, g => g.First().Groups["quoted"] is { Success: true } quoted ? quoted.Value : g.First().Groups["plain"].Value);
        var (realm, nonce, algorithm) = (parts.GetValueOrDefault("realm", ""), parts.GetValueOrDefault("nonce", ""), parts.GetValueOrDefault("algorithm", "MD5"));
        Func<string, string>? hash = algorithm.ToUpperInvariant() switch
        {
            "MD5" => Md5,
            "SHA-256" => text => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text))),
            _ => null,
        };
        if (hash is null || nonce.Length == 0)
        {
            return null;
        }

        var secret = hash($"{username}:{realm}:{password}");
        var request = hash($"{method}:{uri}");
        var withQop = parts.GetValueOrDefault("qop", "").Split(',', StringSplitOptions.TrimEntries).Contains("auth");
        var response = withQop ? hash($"{secret}:{nonce}:00000001:{cnonce}:auth:{request}") : hash($"{secret}:{nonce}:{request}");
        var answer = $"Digest username=\"{username}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", algorithm={algorithm}";
        if (parts.TryGetValue("opaque", out var opaque))
        {
            answer += $", opaque=\"{opaque}\"";
        }

        return withQop ? $"{answer}, qop=auth, nc=00000001, cnonce=\"{cnonce}\"" : answer;
    }

    [SuppressMessage("Security", "CA5351:Do Not Use Broken Cryptographic Algorithms", Justification = "SIP's digest is MD5 where the provider says so.")]
    private static string Md5(string text) => Convert.ToHexStringLower(MD5.HashData(Encoding.UTF8.GetBytes(text)));

    [GeneratedRegex("(?<name>[A-Za-z]+)=(\"(?<quoted>[^\"]*)\"|(?<plain>[^\\s,\"]+))", RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture)]
    private static partial Regex Part();
}
