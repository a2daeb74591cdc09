using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace VoicePlatform.MediaServer.Transport.Dtls;

/// <summary>
/// The self-signed certificate of this process run and the OpenSSL context that every session of it shares. WebRTC trusts no
/// authority: each side pins the other's certificate by the fingerprint in the signalled description.
/// </summary>
internal sealed unsafe class DtlsIdentity : IDisposable
{
    private nint _context;

    public DtlsIdentity(TimeProvider clock)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=VoicePlatform", key, HashAlgorithmName.SHA256);
        var now = clock.GetUtcNow();
        using var certificate = request.CreateSelfSigned(now.AddDays(-1), now.AddYears(1));
        var der = certificate.RawData;
        Fingerprint = new CertificateFingerprint(SHA256.HashData(der));

        _context = OpenSsl.SSL_CTX_new(OpenSsl.DTLS_method());
        Require(_context != 0, "a DTLS context");
        OpenSsl.SSL_CTX_ctrl(_context, OpenSsl.ControlSetMinProtocol, OpenSsl.Dtls12, 0);
        OpenSsl.SSL_CTX_ctrl(_context, OpenSsl.ControlSetMaxProtocol, OpenSsl.Dtls12, 0);
        OpenSsl.SSL_CTX_ctrl(_context, OpenSsl.ControlSetSessionCacheMode, 0, 0);
        OpenSsl.SSL_CTX_set_options(_context, OpenSsl.OptionNoQueryMtu | OpenSsl.OptionNoTicket | OpenSsl.OptionNoRenegotiation);
        Require(
            OpenSsl.SSL_CTX_set_cipher_list(_context, "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES+SHA") == 1,
            "the cipher list");
        Require(OpenSsl.SSL_CTX_set_tlsext_use_srtp(_context, "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80") == 0, "the SRTP profiles");

        // Any certificate passes here: DtlsSession compares it with the signalled fingerprint, which is the only trust there is.
        OpenSsl.SSL_CTX_set_verify(_context, OpenSsl.VerifyPeer | OpenSsl.VerifyFailIfNoPeerCertificate, &AcceptAny);
        fixed (byte* data = der)
        {
            Require(OpenSsl.SSL_CTX_use_certificate_ASN1(_context, der.Length, data) == 1, "the certificate");
        }

        var privateKey = key.ExportECPrivateKey();
        fixed (byte* data = privateKey)
        {
            Require(OpenSsl.SSL_CTX_use_PrivateKey_ASN1(OpenSsl.EvpPkeyEc, _context, data, privateKey.Length) == 1, "the key");
        }

        CryptographicOperations.ZeroMemory(privateKey);
        Require(OpenSsl.SSL_CTX_check_private_key(_context) == 1, "the key of the certificate");
    }

    public CertificateFingerprint Fingerprint { get; }

    internal nint Context => _context;

    public void Dispose()
    {
        if (_context != 0)
        {
            OpenSsl.SSL_CTX_free(_context);
            _context = 0;
        }
    }

    [UnmanagedCallersOnly]
    private static int AcceptAny(int ok, nint store) => 1;

    private static void Require(bool done, string what)
    {
        if (!done)
        {
            throw new TransportException($"OpenSSL refused {what}: {OpenSsl.LastError()}.");
        }
    }
}
