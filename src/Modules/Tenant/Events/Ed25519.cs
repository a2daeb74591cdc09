using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace VoicePlatform.Tenants.Events;

/// <summary>Ed25519 (RFC 8032) by OpenSSL 3, which .NET itself needs; .NET has no such class. Names are OpenSSL's own.</summary>
internal static unsafe partial class Ed25519
{
    public const int SeedBytes = 32;
    private const int PublicKeyBytes = 32, SignatureBytes = 64;

    private const string Crypto = "libcrypto.so.3";
    private const int EvpPkeyEd25519 = 1087;

    public static byte[] PublicKey(ReadOnlySpan<byte> seed)
    {
        var key = Open(seed);
        try
        {
            var publicKey = new byte[PublicKeyBytes];
            nuint length = PublicKeyBytes;
            fixed (byte* to = publicKey)
            {
                Check(EVP_PKEY_get_raw_public_key(key, to, ref length));
            }

            return publicKey;
        }
        finally
        {
            EVP_PKEY_free(key);
        }
    }

    public static byte[] Sign(ReadOnlySpan<byte> seed, ReadOnlySpan<byte> message)
    {
        var key = Open(seed);
        var context = EVP_MD_CTX_new();
        try
        {
            var signature = new byte[SignatureBytes];
            nuint length = SignatureBytes;
            Check(EVP_DigestSignInit(context, 0, 0, 0, key));
            fixed (byte* to = signature, from = message)
            {
                Check(EVP_DigestSign(context, to, ref length, from, (nuint)message.Length));
            }

            return signature;
        }
        finally
        {
            EVP_MD_CTX_free(context);
            EVP_PKEY_free(key);
        }
    }

    private static nint Open(ReadOnlySpan<byte> seed)
    {
        fixed (byte* from = seed)
        {
            var key = EVP_PKEY_new_raw_private_key(EvpPkeyEd25519, 0, from, (nuint)seed.Length);
            return key != 0 ? key : throw new CryptographicException("OpenSSL takes no such Ed25519 key.");
        }
    }

    private static void Check(int result)
    {
        if (result != 1)
        {
            throw new CryptographicException("OpenSSL could not sign with Ed25519.");
        }
    }

    [LibraryImport(Crypto)]
    private static partial nint EVP_PKEY_new_raw_private_key(int type, nint engine, byte* key, nuint length);

    [LibraryImport(Crypto)]
    private static partial int EVP_PKEY_get_raw_public_key(nint key, byte* to, ref nuint length);

    [LibraryImport(Crypto)]
    private static partial void EVP_PKEY_free(nint key);

    [LibraryImport(Crypto)]
    private static partial nint EVP_MD_CTX_new();

    [LibraryImport(Crypto)]
    private static partial void EVP_MD_CTX_free(nint context);

    [LibraryImport(Crypto)]
    private static partial int EVP_DigestSignInit(nint context, nint keyContext, nint digest, nint engine, nint key);

    [LibraryImport(Crypto)]
    private static partial int EVP_DigestSign(nint context, byte* signature, ref nuint signatureLength, byte* message, nuint length);
}
