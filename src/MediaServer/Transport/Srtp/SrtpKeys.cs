using System.Runtime.InteropServices;

namespace VoicePlatform.MediaServer.Transport;

/// <summary>Protection profiles by their number in the use_srtp extension (RFC 5764, RFC 7714).</summary>
internal enum SrtpProfile
{
    None = 0,
    Aes128CmSha1 = 1,

    /// <summary>With tags of 32 bits for RTP; only telephones ask for it.</summary>
    Aes128CmSha1Short = 2,

    AeadAes128Gcm = 7,
}

/// <summary>Master key followed by master salt, for each direction.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct SrtpKeys(SrtpProfile Profile, byte[] Outbound, byte[] Inbound);
