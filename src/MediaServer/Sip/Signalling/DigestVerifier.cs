using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>
/// Challenges callers and checks their answers. A nonce carries its time and is signed for the caller's address, so challenges cost no
/// memory; only nonces that were answered rightly are remembered until they expire, so that no answer works twice.
/// </summary>
internal sealed class DigestVerifier(TimeProvider clock, bool withSha256)
{
    private const int MaxRemembered = 10_000;
    private const int SignatureLength = 16;

    private static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(5);

    private static readonly string[] Md5 = ["MD5"];
    private static readonly string[] Both = ["SHA-256", "MD5"];

    private readonly byte[] _secret = RandomNumberGenerator.GetBytes(32);
    private readonly ConcurrentDictionary<string, uint> _used = new();       // to the highest nonce count

    public enum Verdict
    {
        Wrong,

        /// <summary>The password may be right, the nonce is too old or was used: to be challenged again with stale=true.</summary>
        Stale,

        Right,
    }

    /// <summary>WWW-Authenticate values, the stronger algorithm first (RFC 8760, 2.4).</summary>
    public IEnumerable<string> Challenge(string realm, IPAddress source, bool isStale)
    {
        var nonce = NewNonce(source);
        foreach (var algorithm in withSha256 ? Both : Md5)
        {
            yield return $"Digest realm={HeaderText.Quote(realm)}, nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"{(isStale ? ", stale=true" : "")}";
        }
    }

    public Verdict Check(SipRequest request, string username, string password, string realm, IPAddress source)
    {
        foreach (var header in request.Headers.All("Authorization"))
        {
            if (DigestChallenge.TryParameters(header, out var given)
                && given.GetValueOrDefault("realm") == realm
                && given.GetValueOrDefault("username") == username)
            {
                return Check(given, header, request, username, password, source);
            }
        }

        return Verdict.Wrong;
    }

    private Verdict Check(Dictionary<string, string?> given, string header, SipRequest request, string username, string password, IPAddress source)
    {
        var nonce = given.GetValueOrDefault("nonce") ?? "";
        var uri = given.GetValueOrDefault("uri") ?? "";
        var count = given.GetValueOrDefault("nc");
        if (!DigestChallenge.TryParse(header, out var challenge) || !IsOurs(nonce, source, out var issued))
        {
            return Verdict.Wrong;       // the uri is not compared: proxies rewrite the request's, and a nonce works once anyway
        }

        var expected = challenge.Response(username, password, request.Method, uri, request.Body, count, given.GetValueOrDefault("cnonce"));
        var response = given.GetValueOrDefault("response") ?? "";
        if (!CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(expected), Encoding.ASCII.GetBytes(response.ToLowerInvariant())))
        {
            return Verdict.Wrong;
        }

        var uses = challenge.Qop is null ? 1u
            : uint.TryParse(count, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var number) ? number
            : 0;
        return clock.GetUtcNow() - issued > Lifetime || !IsFirstUse(nonce, uses) ? Verdict.Stale : Verdict.Right;
    }

    private bool IsFirstUse(string nonce, uint uses)
    {
        if (_used.Count >= MaxRemembered)
        {
            Sweep();
        }

        // Full of live ones: then nothing is accepted rather than anything twice.
        if (_used.Count >= MaxRemembered || uses == 0)
        {
            return false;
        }

        while (true)
        {
            if (_used.TryAdd(nonce, uses))
            {
                return true;
            }

            if (_used.TryGetValue(nonce, out var before) && (uses <= before || _used.TryUpdate(nonce, uses, before)))
            {
                return uses > before;
            }
        }
    }

    private void Sweep()
    {
        foreach (var nonce in _used.Keys)
        {
            if (!TryRead(nonce, out var issued, out _) || clock.GetUtcNow() - issued > Lifetime)
            {
                _used.TryRemove(nonce, out _);
            }
        }
    }

    private string NewNonce(IPAddress source)
    {
        Span<byte> bytes = stackalloc byte[16 + SignatureLength];
        BinaryPrimitives.WriteInt64BigEndian(bytes, clock.GetUtcNow().ToUnixTimeMilliseconds());
        RandomNumberGenerator.Fill(bytes[8..16]);
        Sign(bytes[..16], source, bytes[16..]);
        return Convert.ToHexStringLower(bytes);
    }

    private bool IsOurs(string nonce, IPAddress source, out DateTimeOffset issued)
    {
        if (!TryRead(nonce, out issued, out var bytes))
        {
            return false;
        }

        Span<byte> signature = stackalloc byte[SignatureLength];
        Sign(bytes.AsSpan(0, 16), source, signature);
        return CryptographicOperations.FixedTimeEquals(signature, bytes.AsSpan(16));
    }

    private static bool TryRead(string nonce, out DateTimeOffset issued, out byte[] bytes)
    {
        bytes = new byte[16 + SignatureLength];
        issued = default;
        if (nonce.Length != bytes.Length * 2 || Convert.FromHexString(nonce, bytes, out _, out _) != System.Buffers.OperationStatus.Done)
        {
            return false;
        }

        var milliseconds = BinaryPrimitives.ReadInt64BigEndian(bytes);
        if (milliseconds is < 0 or > 253_402_300_799_999)
        {
            return false;       // past the year 9999: not written by us
        }

        issued = DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);
        return true;
    }

    private void Sign(ReadOnlySpan<byte> what, IPAddress source, Span<byte> signature)
    {
        Span<byte> hash = stackalloc byte[HMACSHA256.HashSizeInBytes];
        HMACSHA256.HashData(_secret, [.. what, .. source.GetAddressBytes()], hash);
        hash[..SignatureLength].CopyTo(signature);
    }
}
