using System.Security.Cryptography;

namespace VoicePlatform.MediaServer.Transport.Dtls;

/// <summary>SHA-256 of a certificate, as <c>a=fingerprint:sha-256</c> writes it.</summary>
internal sealed class CertificateFingerprint(byte[] sha256)
{
    private const int Length = 32;

    public bool Matches(ReadOnlySpan<byte> digest) => CryptographicOperations.FixedTimeEquals(sha256, digest);

    public bool Matches(CertificateFingerprint other) => other.Matches(sha256);

    /// <summary>Reads <c>AB:CD:…</c>; null when it is not 32 bytes of that form.</summary>
    public static CertificateFingerprint? Parse(ReadOnlySpan<char> text)
    {
        if (text.Length != (Length * 3) - 1)
        {
            return null;
        }

        var digest = new byte[Length];
        for (var i = 0; i < Length; i++)
        {
            var isSeparated = i == Length - 1 || text[(i * 3) + 2] == ':';
            if (!isSeparated || !byte.TryParse(text.Slice(i * 3, 2), System.Globalization.NumberStyles.AllowHexSpecifier, null, out digest[i]))
            {
                return null;
            }
        }

        return new CertificateFingerprint(digest);
    }

    public override string ToString() => string.Join(':', sha256.Select(b => b.ToString("X2")));
}
