using System.Security.Cryptography;
using VoicePlatform.MediaServer.Transport;

namespace VoicePlatform.MediaServer.Sip.Media.Sdp;

/// <summary>A key of one direction, as <c>a=crypto</c> carries it (RFC 4568).</summary>
/// <param name="Tag">Ties the answer's line to the offer's.</param>
/// <param name="Profile">AES_CM_128_HMAC_SHA1_80 or _32.</param>
/// <param name="KeyAndSalt">16 bytes of master key, 14 of master salt.</param>
internal sealed record SdesKey(int Tag, SrtpProfile Profile, byte[] KeyAndSalt)
{
    private const int Length = 30;
    private const int MaxTag = 999_999_999;

    public static SdesKey Create(int tag, SrtpProfile profile) => new(tag, profile, RandomNumberGenerator.GetBytes(Length));

    /// <summary>Null when the line is malformed or asks for what is not done here: other suites, several keys, key identifiers, plain parts.</summary>
    public static SdesKey? Parse(string value)
    {
        var parts = value.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length < 3
            || !int.TryParse(parts[0], System.Globalization.NumberStyles.None, null, out var tag)
            || tag > MaxTag
            || ProfileOf(parts[1]) is not { } profile
            || !parts[2].StartsWith("inline:", StringComparison.OrdinalIgnoreCase)
            || parts[2].Contains(';')
            || parts.Skip(3).Any(p => !p.StartsWith("WSH=", StringComparison.OrdinalIgnoreCase)))
        {
            return null;
        }

        // inline:<key and salt>[|lifetime][|MKI:length]. A lifetime is longer than any call; a key identifier would be in every packet.
        var fields = parts[2]["inline:".Length..].Split('|');
        if (fields.Skip(1).Any(f => f.Contains(':')) || fields[0].Length > 2 * Length)
        {
            return null;
        }

        var key = new byte[2 * Length];
        return Convert.TryFromBase64String(fields[0], key, out var length) && length == Length ? new SdesKey(tag, profile, key[..Length]) : null;
    }

    public override string ToString() => $"{Tag} {NameOf(Profile)} inline:{Convert.ToBase64String(KeyAndSalt)}";

    public bool IsSameKey(SdesKey? other) => other is not null && other.Profile == Profile && other.KeyAndSalt.AsSpan().SequenceEqual(KeyAndSalt);

    private static SrtpProfile? ProfileOf(string suite) => suite.ToUpperInvariant() switch
    {
        "AES_CM_128_HMAC_SHA1_80" => SrtpProfile.Aes128CmSha1,
        "AES_CM_128_HMAC_SHA1_32" => SrtpProfile.Aes128CmSha1Short,
        _ => null,
    };

    private static string NameOf(SrtpProfile profile) =>
        profile == SrtpProfile.Aes128CmSha1 ? "AES_CM_128_HMAC_SHA1_80" : "AES_CM_128_HMAC_SHA1_32";
}
