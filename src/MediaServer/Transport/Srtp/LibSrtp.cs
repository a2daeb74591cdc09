using System.Runtime.InteropServices;

namespace VoicePlatform.MediaServer.Transport.Srtp;

/// <summary>The calls of libsrtp 2 in use. Names are the library's own.</summary>
internal static unsafe partial class LibSrtp
{
    private const string Library = "libsrtp2.so.1";

    public const int Ok = 0;
    public const int AnyInbound = 2;
    public const int AnyOutbound = 3;

    [LibraryImport(Library)]
    public static partial int srtp_init();

    [LibraryImport(Library)]
    public static partial int srtp_create(nint* session, Policy* policy);

    [LibraryImport(Library)]
    public static partial int srtp_dealloc(nint session);

    /// <param name="ssrc">In network byte order.</param>
    [LibraryImport(Library)]
    public static partial int srtp_remove_stream(nint session, uint ssrc);

    [LibraryImport(Library)]
    public static partial int srtp_protect(nint session, byte* packet, int* length);

    [LibraryImport(Library)]
    public static partial int srtp_unprotect(nint session, byte* packet, int* length);

    [LibraryImport(Library)]
    public static partial int srtp_protect_rtcp(nint session, byte* packet, int* length);

    [LibraryImport(Library)]
    public static partial int srtp_unprotect_rtcp(nint session, byte* packet, int* length);

    [LibraryImport(Library)]
    public static partial int srtp_crypto_policy_set_from_profile_for_rtp(CryptoPolicy* policy, int profile);

    [LibraryImport(Library)]
    public static partial int srtp_crypto_policy_set_from_profile_for_rtcp(CryptoPolicy* policy, int profile);

    /// <summary>srtp_crypto_policy_t</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct CryptoPolicy
    {
        public uint CipherType;
        public int CipherKeyLength;
        public uint AuthType;
        public int AuthKeyLength;
        public int AuthTagLength;
        public int Services;
    }

    /// <summary>srtp_policy_t of 2.5</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Policy
    {
        public int SsrcType;
        public uint Ssrc;
        public CryptoPolicy Rtp;
        public CryptoPolicy Rtcp;
        public byte* Key;
        public nint Keys;
        public nuint KeyCount;
        public nint Ekt;
        public nuint WindowSize;
        public int AllowRepeatedTransmission;
        public nint EncryptedExtensions;
        public int EncryptedExtensionCount;
        public Policy* Next;
    }
}
