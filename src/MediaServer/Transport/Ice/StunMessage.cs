using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace VoicePlatform.MediaServer.Transport.Ice;

/// <summary>A STUN message (RFC 8489) seen in the datagram it came in; nothing is copied.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly ref struct StunMessage
{
    public const int HeaderLength = 20;
    public const uint MagicCookie = 0x2112A442;
    public const ushort BindingRequest = 0x0001;
    public const ushort BindingIndication = 0x0011;
    public const ushort BindingSuccess = 0x0101;
    public const ushort BindingError = 0x0111;

    private const ushort UsernameType = 0x0006;
    private const ushort IntegrityType = 0x0008;
    private const ushort ErrorCodeType = 0x0009;
    private const ushort XorMappedAddressType = 0x0020;
    private const ushort PriorityType = 0x0024;
    private const ushort UseCandidateType = 0x0025;
    private const ushort FingerprintType = 0x8028;
    private const ushort ControlledType = 0x8029;
    private const ushort ControllingType = 0x802A;
    private const uint FingerprintMask = 0x5354554E;
    private const int IntegrityLength = 20;

    private readonly ReadOnlySpan<byte> _datagram;
    private readonly int _integrityAt;

    private StunMessage(ReadOnlySpan<byte> datagram, ReadOnlySpan<byte> username, int integrityAt, bool useCandidate, bool isControlled, ReadOnlySpan<byte> mapped)
    {
        _datagram = datagram;
        _integrityAt = integrityAt;
        Username = username;
        UseCandidate = useCandidate;
        IsControlled = isControlled;
        XorMappedAddress = mapped;
        Type = BinaryPrimitives.ReadUInt16BigEndian(datagram);
    }

    public ushort Type { get; }

    public ReadOnlySpan<byte> Transaction => _datagram.Slice(8, 12);

    /// <summary><c>receiver's ufrag:sender's ufrag</c></summary>
    public ReadOnlySpan<byte> Username { get; }

    public bool UseCandidate { get; }

    /// <summary>The sender believes itself controlled, as we are: a role conflict.</summary>
    public bool IsControlled { get; }

    public ReadOnlySpan<byte> XorMappedAddress { get; }

    /// <summary>Reads a message whose lengths and fingerprint are right; says nothing of its authenticity.</summary>
    public static bool TryRead(ReadOnlySpan<byte> datagram, out StunMessage message)
    {
        message = default;
        if (datagram.Length < HeaderLength
            || (datagram[0] & 0xC0) != 0
            || BinaryPrimitives.ReadUInt32BigEndian(datagram[4..]) != MagicCookie
            || BinaryPrimitives.ReadUInt16BigEndian(datagram[2..]) != datagram.Length - HeaderLength
            || (datagram.Length & 3) != 0)
        {
            return false;
        }

        ReadOnlySpan<byte> username = default, mapped = default;
        var (integrityAt, useCandidate, isControlled, hasFingerprint) = (0, false, false, false);
        var at = HeaderLength;
        while (at < datagram.Length)
        {
            // The length is a multiple of four, so an attribute's header always fits.
            var type = BinaryPrimitives.ReadUInt16BigEndian(datagram[at..]);
            var length = BinaryPrimitives.ReadUInt16BigEndian(datagram[(at + 2)..]);
            if (at + 4 + length > datagram.Length || hasFingerprint)
            {
                return false;       // nothing may follow FINGERPRINT
            }

            var value = datagram.Slice(at + 4, length);
            switch (type)
            {
                case FingerprintType:
                    if (length != 4 || BinaryPrimitives.ReadUInt32BigEndian(value) != FingerprintOf(datagram[..at]))
                    {
                        return false;
                    }

                    hasFingerprint = true;
                    break;
                case IntegrityType when length == IntegrityLength && integrityAt == 0:
                    integrityAt = at;
                    break;
                case IntegrityType:
                    return false;

                // What follows MESSAGE-INTEGRITY is not covered by it and is ignored.
                case UsernameType when integrityAt == 0:
                    username = value;
                    break;
                case UseCandidateType when integrityAt == 0:
                    useCandidate = true;
                    break;
                case ControlledType when integrityAt == 0:
                    isControlled = true;
                    break;
                case XorMappedAddressType:
                    mapped = value;
                    break;
                default:
                    break;
            }

            at += 4 + ((length + 3) & ~3);
        }

        if (at != datagram.Length)
        {
            return false;
        }

        message = new StunMessage(datagram, username, integrityAt, useCandidate, isControlled, mapped);
        return true;
    }

    /// <summary>Whether MESSAGE-INTEGRITY is there and was made with the password.</summary>
    public bool IsAuthentic(ReadOnlySpan<byte> password)
    {
        if (_integrityAt == 0)
        {
            return false;
        }

        Span<byte> expected = stackalloc byte[IntegrityLength];
        IntegrityOf(_datagram[.._integrityAt], password, expected);
        return CryptographicOperations.FixedTimeEquals(expected, _datagram.Slice(_integrityAt + 4, IntegrityLength));
    }

    /// <summary>Writes the answer to a request: where it came from. Returns its length (at most 80 bytes).</summary>
    public static int WriteSuccess(Span<byte> output, ReadOnlySpan<byte> transaction, in RemoteAddress from, ReadOnlySpan<byte> password)
    {
        var length = WriteHeader(output, BindingSuccess, transaction);
        var addressLength = from.IsV4 ? 8 : 20;
        WriteAttribute(output, ref length, XorMappedAddressType, addressLength);
        var value = output.Slice(length - addressLength, addressLength);
        value[0] = 0;
        value[1] = from.IsV4 ? (byte)1 : (byte)2;
        BinaryPrimitives.WriteUInt16BigEndian(value[2..], (ushort)(from.Port ^ (MagicCookie >> 16)));
        if (from.IsV4)
        {
            BinaryPrimitives.WriteUInt32BigEndian(value[4..], (uint)from.Low ^ MagicCookie);
        }
        else
        {
            BinaryPrimitives.WriteUInt64BigEndian(value[4..], from.High);
            BinaryPrimitives.WriteUInt64BigEndian(value[12..], from.Low);
            for (var i = 0; i < 16; i++)
            {
                value[4 + i] ^= output[4 + i];      // the cookie and the transaction id
            }
        }

        return Finish(output, length, password);
    }

    /// <summary>Writes an error answer; the reason phrase is left empty.</summary>
    public static int WriteError(Span<byte> output, ReadOnlySpan<byte> transaction, int code, ReadOnlySpan<byte> password)
    {
        var length = WriteHeader(output, BindingError, transaction);
        WriteAttribute(output, ref length, ErrorCodeType, 4);
        BinaryPrimitives.WriteUInt32BigEndian(output[(length - 4)..], (uint)(((code / 100) << 8) | (code % 100)));
        return Finish(output, length, password);
    }

    /// <summary>Writes the check of a controlling agent (our own test client).</summary>
    public static int WriteRequest(Span<byte> output, ReadOnlySpan<byte> transaction, string username, ReadOnlySpan<byte> password, bool useCandidate)
    {
        var length = WriteHeader(output, BindingRequest, transaction);
        var nameLength = Encoding.UTF8.GetByteCount(username);
        WriteAttribute(output, ref length, UsernameType, nameLength);
        Encoding.UTF8.GetBytes(username, output[(length - ((nameLength + 3) & ~3))..]);
        WriteAttribute(output, ref length, PriorityType, 4);
        BinaryPrimitives.WriteUInt32BigEndian(output[(length - 4)..], 1_845_501_695);
        WriteAttribute(output, ref length, ControllingType, 8);
        if (useCandidate)
        {
            WriteAttribute(output, ref length, UseCandidateType, 0);
        }

        return Finish(output, length, password);
    }

    private static int WriteHeader(Span<byte> output, ushort type, ReadOnlySpan<byte> transaction)
    {
        BinaryPrimitives.WriteUInt16BigEndian(output, type);
        BinaryPrimitives.WriteUInt32BigEndian(output[4..], MagicCookie);
        transaction.CopyTo(output[8..]);
        return HeaderLength;
    }

    /// <summary>Makes room for an attribute with a zeroed value, padding included.</summary>
    private static void WriteAttribute(Span<byte> output, ref int length, ushort type, int valueLength)
    {
        BinaryPrimitives.WriteUInt16BigEndian(output[length..], type);
        BinaryPrimitives.WriteUInt16BigEndian(output[(length + 2)..], (ushort)valueLength);
        var padded = (valueLength + 3) & ~3;
        output.Slice(length + 4, padded).Clear();
        length += 4 + padded;
    }

    private static int Finish(Span<byte> output, int length, ReadOnlySpan<byte> password)
    {
        Span<byte> integrity = stackalloc byte[IntegrityLength];
        IntegrityOf(output[..length], password, integrity);
        WriteAttribute(output, ref length, IntegrityType, IntegrityLength);
        integrity.CopyTo(output[(length - IntegrityLength)..]);

        var fingerprint = FingerprintOf(output[..length]);
        WriteAttribute(output, ref length, FingerprintType, 4);
        BinaryPrimitives.WriteUInt32BigEndian(output[(length - 4)..], fingerprint);
        BinaryPrimitives.WriteUInt16BigEndian(output[2..], (ushort)(length - HeaderLength));
        return length;
    }

    /// <summary>HMAC-SHA1 over the message up to the attribute, its length field counting the attribute.</summary>
    private static void IntegrityOf(ReadOnlySpan<byte> message, ReadOnlySpan<byte> password, Span<byte> integrity)
    {
        Span<byte> covered = stackalloc byte[message.Length];
        message.CopyTo(covered);
        BinaryPrimitives.WriteUInt16BigEndian(covered[2..], (ushort)(message.Length + 4 + IntegrityLength - HeaderLength));
#pragma warning disable CA5350 // STUN prescribes HMAC-SHA1
        HMACSHA1.HashData(password, covered, integrity);
#pragma warning restore CA5350
    }

    private static uint FingerprintOf(ReadOnlySpan<byte> message)
    {
        // The length field counts the attribute itself; everything else is as sent.
        Span<byte> header = stackalloc byte[4];
        message[..2].CopyTo(header);
        BinaryPrimitives.WriteUInt16BigEndian(header[2..], (ushort)(message.Length + 8 - HeaderLength));
        return Crc32.Of(header, message[4..]) ^ FingerprintMask;
    }
}
