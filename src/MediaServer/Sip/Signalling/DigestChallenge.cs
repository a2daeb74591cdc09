using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>A digest challenge and the computation of its response (RFC 2617, 3.2.2; SHA-256: RFC 8760). What it lacks: SHA-512-256.</summary>
internal sealed record DigestChallenge(string Realm, string Nonce)
{
    /// <summary>Upper case; <c>MD5</c>, <c>SHA-256</c> and each with <c>-SESS</c>.</summary>
    public string Algorithm { get; init; } = "MD5";

    /// <summary>As written, to be sent back so.</summary>
    public string? AlgorithmText { get; init; }

    public string? Opaque { get; init; }

    /// <summary><c>auth</c>, <c>auth-int</c>, or null where the peer is of RFC 2069.</summary>
    public string? Qop { get; init; }

    public bool IsStale { get; init; }

    /// <summary>Null: no digest, or an algorithm or protection we do not know.</summary>
    public static bool TryParse(string header, [NotNullWhen(true)] out DigestChallenge? challenge)
    {
        challenge = null;
        if (!TryParameters(header, out var given) || !given.TryGetValue("realm", out var realm) || !given.TryGetValue("nonce", out var nonce))
        {
            return false;
        }

        var algorithm = given.GetValueOrDefault("algorithm");
        var known = (algorithm ?? "MD5").ToUpperInvariant();
        var offered = given.GetValueOrDefault("qop") is { } list ? list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) : [];
        var qop = offered.Contains("auth", StringComparer.OrdinalIgnoreCase) ? "auth"
            : offered.Contains("auth-int", StringComparer.OrdinalIgnoreCase) ? "auth-int"
            : null;
        if (known is not ("MD5" or "MD5-SESS" or "SHA-256" or "SHA-256-SESS") || (offered.Length > 0 && qop is null))
        {
            return false;
        }

        challenge = new DigestChallenge(realm ?? "", nonce ?? "")
        {
            Algorithm = known,
            AlgorithmText = algorithm,
            Opaque = given.GetValueOrDefault("opaque"),
            Qop = qop,
            IsStale = string.Equals(given.GetValueOrDefault("stale"), "true", StringComparison.OrdinalIgnoreCase),
        };
        return true;
    }

    public static bool TryParameters(string header, [NotNullWhen(true)] out Dictionary<string, string?>? parameters)
    {
        parameters = header.StartsWith("Digest ", StringComparison.OrdinalIgnoreCase) ? HeaderText.Parameters(header[7..], ',') : null;
        return parameters is not null;
    }

    public string Response(string username, string password, string method, string uri, string body, string? nc, string? cnonce)
    {
        var secret = Hash($"{username}:{Realm}:{password}");
        if (Algorithm.EndsWith("-SESS", StringComparison.Ordinal))
        {
            secret = Hash($"{secret}:{Nonce}:{cnonce}");
        }

        var request = Hash(Qop == "auth-int" ? $"{method}:{uri}:{Hash(body)}" : $"{method}:{uri}");
        return Hash(Qop is null ? $"{secret}:{Nonce}:{request}" : $"{secret}:{Nonce}:{nc}:{cnonce}:{Qop}:{request}");
    }

    private string Hash(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
#pragma warning disable CA5351 // the protocol's algorithm; a peer that offers SHA-256 first gets that
        return Convert.ToHexStringLower(Algorithm.StartsWith("SHA", StringComparison.Ordinal) ? SHA256.HashData(bytes) : MD5.HashData(bytes));
#pragma warning restore CA5351
    }
}
