using System.Buffers.Binary;

namespace VoicePlatform.MediaServer.Transport.Srtp;

/// <summary>
/// SRTP and SRTCP of one direction. Works in place and allocates nothing. Not thread-safe: the inbound one belongs to the receive
/// thread, the outbound one to the peer's sending lock.
/// </summary>
internal sealed unsafe class SrtpSession : IDisposable
{
    /// <summary>Room a packet buffer needs behind the packet: authentication tag and, for SRTCP, the index.</summary>
    public const int MaxTrailer = 20;

    private nint _session;

    private SrtpSession(nint session) => _session = session;

    /// <summary>Replays are refused within a window of 1,024 packets.</summary>
    /// <exception cref="TransportException">The library refused the profile or the key.</exception>
    public static SrtpSession Create(SrtpProfile profile, ReadOnlySpan<byte> keyAndSalt, bool isInbound)
    {
        var policy = default(LibSrtp.Policy);
        policy.SsrcType = isInbound ? LibSrtp.AnyInbound : LibSrtp.AnyOutbound;
        policy.WindowSize = 1024;
        var status = LibSrtp.srtp_crypto_policy_set_from_profile_for_rtp(&policy.Rtp, (int)profile);
        if (status == LibSrtp.Ok)
        {
            status = LibSrtp.srtp_crypto_policy_set_from_profile_for_rtcp(&policy.Rtcp, (int)profile);
        }

        nint session = 0;
        fixed (byte* key = keyAndSalt)
        {
            policy.Key = key;
            if (status == LibSrtp.Ok)
            {
                status = LibSrtp.srtp_create(&session, &policy);
            }
        }

        return status == LibSrtp.Ok
            ? new SrtpSession(session)
            : throw new TransportException($"libsrtp2 refused the profile {profile} with status {status}.");
    }

    /// <summary>Encrypts the first <paramref name="length"/> bytes of <paramref name="buffer"/>; the new length, or 0 when it could not.</summary>
    public int Protect(Span<byte> buffer, int length) => Apply(&LibSrtp.srtp_protect, buffer, length, growth: MaxTrailer);

    /// <inheritdoc cref="Protect"/>
    public int ProtectRtcp(Span<byte> buffer, int length) => Apply(&LibSrtp.srtp_protect_rtcp, buffer, length, growth: MaxTrailer);

    /// <summary>Verifies and decrypts in place; the new length, or 0 when the packet is forged, replayed or malformed.</summary>
    public int Unprotect(Span<byte> packet) => Apply(&LibSrtp.srtp_unprotect, packet, packet.Length, growth: 0);

    /// <inheritdoc cref="Unprotect"/>
    public int UnprotectRtcp(Span<byte> packet) => Apply(&LibSrtp.srtp_unprotect_rtcp, packet, packet.Length, growth: 0);

    /// <summary>Forgets a stream that will not come again.</summary>
    public void Remove(uint ssrc)
    {
        if (_session != 0)
        {
            _ = LibSrtp.srtp_remove_stream(_session, BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(ssrc) : ssrc);
        }
    }

    public void Dispose()
    {
        if (_session != 0)
        {
            _ = LibSrtp.srtp_dealloc(_session);
            _session = 0;
        }
    }

    private int Apply(delegate*<nint, byte*, int*, int> operation, Span<byte> buffer, int length, int growth)
    {
        if (_session == 0 || length + growth > buffer.Length)
        {
            return 0;
        }

        fixed (byte* data = buffer)
        {
            return operation(_session, data, &length) == LibSrtp.Ok ? length : 0;
        }
    }
}
