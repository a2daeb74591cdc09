using System.Buffers.Binary;

namespace VoicePlatform.SharedKernel;

/// <summary>
/// Public ids: three letters that say what it is, then a UUIDv7 as 26 base32 characters. Sortable by time, lower case,
/// and without '_' or '-', because room names are split on those.
/// </summary>
public static class Ids
{
    public const string Tenant = "ten";
    public const string User = "usr";
    public const string Key = "key";
    public const string Assistant = "ast";
    public const string Trunk = "trk";
    public const string Number = "num";
    public const string Call = "cal";
    public const string Session = "ses";
    public const string Webhook = "whk";
    public const string Event = "evt";
    public const string Delivery = "dlv";
    public const string Transaction = "txn";
    public const string Entry = "ent";
    public const string Hold = "hld";
    public const string Tool = "tol";
    public const string Audit = "aud";
    public const string Replay = "rpl";
    public const string Mail = "mai";

    /// <summary>Characters of an id: 3 of the prefix and 26 of the UUID.</summary>
    public const int Length = 29;

    // Crockford's alphabet in lower case: ordered like the values it stands for, so that ids sort by time.
    private const string Alphabet = "0123456789abcdefghjkmnpqrstvwxyz";

    public static string New(string prefix, DateTimeOffset now)
    {
        Span<byte> bytes = stackalloc byte[16];
        Guid.CreateVersion7(now).TryWriteBytes(bytes, bigEndian: true, out _);
        return Write(prefix, new UInt128(BinaryPrimitives.ReadUInt64BigEndian(bytes), BinaryPrimitives.ReadUInt64BigEndian(bytes[8..])));
    }

    /// <summary>The smallest id of this kind that can be made at this moment (to the millisecond): ids compare as their times do.</summary>
    public static string First(string prefix, DateTimeOffset at) => Write(prefix, new UInt128((ulong)at.ToUnixTimeMilliseconds() << 16, 0));

    /// <summary>Whether the text has the form of such an id. Says nothing about whether it exists.</summary>
    public static bool IsWellFormed(string? id, string prefix)
    {
        if (id is null || id.Length != Length || !id.StartsWith(prefix, StringComparison.Ordinal))
        {
            return false;
        }

        foreach (var c in id.AsSpan(prefix.Length))
        {
            if (!Alphabet.Contains(c, StringComparison.Ordinal))
            {
                return false;
            }
        }

        return true;
    }

    private static string Write(string prefix, UInt128 value)
    {
        Span<char> text = stackalloc char[Length];
        prefix.AsSpan().CopyTo(text);
        for (var i = Length - 1; i >= prefix.Length; i--)
        {
            text[i] = Alphabet[(int)(value & 31)];
            value >>= 5;
        }

        return new string(text);
    }
}
