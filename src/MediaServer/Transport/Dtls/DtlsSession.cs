using System.Runtime.InteropServices;

namespace VoicePlatform.MediaServer.Transport.Dtls;

internal enum DtlsProgress
{
    Handshaking,
    Established,
    Closed,
    Failed,
}

/// <summary>
/// One DTLS 1.2 association over memory BIOs. Not thread-safe: the peer connection's lock guards it.
/// </summary>
/// <remarks>
/// Memory BIOs are byte streams: what OpenSSL writes in one go may be several records of one flight, which go out cut at record
/// boundaries into datagrams of at most <see cref="Mtu"/> bytes. Incoming datagrams are given one at a time and read empty, so that
/// the stream never joins two of them.
/// </remarks>
internal sealed unsafe class DtlsSession : IDisposable
{
    /// <summary>Bytes of UDP payload that every path is assumed to carry.</summary>
    public const int Mtu = 1200;

    private const int RecordHeader = 13;
    private const int FlightCapacity = 16 * 1024;

    private readonly DatagramSender _send;
    private readonly CertificateFingerprint _expected;
    private readonly byte[] _flight = GC.AllocateUninitializedArray<byte>(FlightCapacity);
    private nint _ssl;
    private nint _incoming;
    private nint _outgoing;

    /// <param name="identity">Our certificate.</param>
    /// <param name="isClient">Whether this side sends the ClientHello (<c>setup:active</c>).</param>
    /// <param name="expected">The peer's fingerprint as signalled.</param>
    /// <param name="send">Called under the caller's lock for every datagram.</param>
    public DtlsSession(DtlsIdentity identity, bool isClient, CertificateFingerprint expected, DatagramSender send)
    {
        (_send, _expected, IsClient) = (send, expected, isClient);
        _ssl = OpenSsl.SSL_new(identity.Context);
        _incoming = OpenSsl.BIO_new(OpenSsl.BIO_s_mem());
        _outgoing = OpenSsl.BIO_new(OpenSsl.BIO_s_mem());
        if (_ssl == 0 || _incoming == 0 || _outgoing == 0)
        {
            throw new TransportException($"OpenSSL could not make a DTLS session: {OpenSsl.LastError()}.");
        }

        // An empty memory BIO means "later", not "end of file".
        OpenSsl.BIO_ctrl(_incoming, OpenSsl.BioControlSetEofReturn, -1, 0);
        OpenSsl.BIO_ctrl(_outgoing, OpenSsl.BioControlSetEofReturn, -1, 0);
        OpenSsl.SSL_set_bio(_ssl, _incoming, _outgoing);
        OpenSsl.SSL_ctrl(_ssl, OpenSsl.ControlSetMtu, Mtu, 0);
        if (isClient)
        {
            OpenSsl.SSL_set_connect_state(_ssl);
        }
        else
        {
            OpenSsl.SSL_set_accept_state(_ssl);
        }
    }

    public bool IsClient { get; }

    public DtlsProgress Progress { get; private set; }

    /// <summary>Why it failed, in words for the log.</summary>
    public string? Failure { get; private set; }

    /// <summary>Sends the ClientHello; a server waits for one.</summary>
    public void Start()
    {
        if (IsClient)
        {
            Handshake();
        }
    }

    /// <summary>Takes one datagram. Afterwards call <see cref="Read"/> until it returns 0.</summary>
    public void Receive(ReadOnlySpan<byte> datagram)
    {
        if (Progress is DtlsProgress.Closed or DtlsProgress.Failed)
        {
            return;
        }

        fixed (byte* data = datagram)
        {
            _ = OpenSsl.BIO_write(_incoming, data, datagram.Length);
        }

        if (Progress == DtlsProgress.Handshaking)
        {
            Handshake();
        }
    }

    /// <summary>One decrypted record, or 0 when there is none.</summary>
    public int Read(Span<byte> plain)
    {
        if (Progress != DtlsProgress.Established)
        {
            return 0;
        }

        OpenSsl.ERR_clear_error();
        int read;
        fixed (byte* data = plain)
        {
            read = OpenSsl.SSL_read(_ssl, data, plain.Length);
        }

        if (read > 0)
        {
            return read;
        }

        var error = OpenSsl.SSL_get_error(_ssl, read);
        Flush();
        if (error == OpenSsl.ErrorZeroReturn || (OpenSsl.SSL_get_shutdown(_ssl) & OpenSsl.ReceivedShutdown) != 0)
        {
            Progress = DtlsProgress.Closed;
        }
        else if (error is not (OpenSsl.ErrorWantRead or OpenSsl.ErrorWantWrite))
        {
            Fail(OpenSsl.LastError());
        }

        return 0;
    }

    /// <summary>Encrypts and sends one record of at most a datagram. False when the session is not established.</summary>
    public bool Write(ReadOnlySpan<byte> plain)
    {
        if (Progress != DtlsProgress.Established)
        {
            return false;
        }

        OpenSsl.ERR_clear_error();
        int written;
        fixed (byte* data = plain)
        {
            written = OpenSsl.SSL_write(_ssl, data, plain.Length);
        }

        Flush();
        return written == plain.Length;
    }

    /// <summary>Sends the current flight again when its timer has run out. Call at least every 50 ms while handshaking.</summary>
    public void OnTimer()
    {
        if (Progress != DtlsProgress.Handshaking)
        {
            return;
        }

        OpenSsl.ERR_clear_error();
        if (OpenSsl.SSL_ctrl(_ssl, OpenSsl.ControlDtlsHandleTimeout, 0, 0) < 0)
        {
            Fail($"the handshake timed out: {OpenSsl.LastError()}");
        }

        Flush();
    }

    /// <summary>The SRTP profile both agreed on and the keys of both directions; none of a session that was disposed.</summary>
    public SrtpKeys ExportSrtpKeys()
    {
        if (_ssl == 0)
        {
            return default;
        }

        var selected = OpenSsl.SSL_get_selected_srtp_profile(_ssl);

        // struct { const char *name; unsigned long id; }
        var profile = selected == 0 ? SrtpProfile.None : (SrtpProfile)(uint)Marshal.ReadIntPtr(selected, nint.Size);
        var saltLength = profile switch
        {
            SrtpProfile.AeadAes128Gcm => 12,
            SrtpProfile.Aes128CmSha1 => 14,
            _ => 0,
        };
        if (saltLength == 0)
        {
            return default;
        }

        const int KeyLength = 16;
        Span<byte> material = stackalloc byte[2 * (KeyLength + saltLength)];
        var label = "EXTRACTOR-dtls_srtp"u8;
        fixed (byte* output = material)
        fixed (byte* name = label)
        {
            if (OpenSsl.SSL_export_keying_material(_ssl, output, material.Length, name, label.Length, null, 0, 0) != 1)
            {
                return default;
            }
        }

        // client key, server key, client salt, server salt (RFC 5764 section 4.2)
        byte[] client = [.. material[..KeyLength], .. material.Slice(2 * KeyLength, saltLength)];
        byte[] server = [.. material.Slice(KeyLength, KeyLength), .. material.Slice((2 * KeyLength) + saltLength, saltLength)];
        material.Clear();
        return IsClient ? new SrtpKeys(profile, client, server) : new SrtpKeys(profile, server, client);
    }

    /// <summary>Tells the peer (close_notify) and releases the session.</summary>
    public void Dispose()
    {
        if (_ssl == 0)
        {
            return;
        }

        if (Progress == DtlsProgress.Established)
        {
            OpenSsl.ERR_clear_error();
            _ = OpenSsl.SSL_shutdown(_ssl);
            Flush();
        }

        Progress = DtlsProgress.Closed;
        OpenSsl.SSL_free(_ssl);     // frees both BIOs
        (_ssl, _incoming, _outgoing) = (0, 0, 0);
    }

    private void Handshake()
    {
        OpenSsl.ERR_clear_error();
        var result = OpenSsl.SSL_do_handshake(_ssl);
        if (result == 1)
        {
            // Checked before the last flight leaves: a wrong peer is never told that it got in.
            if (PeerMatchesFingerprint())
            {
                Progress = DtlsProgress.Established;
                Flush();
            }
            else
            {
                Fail("the peer's certificate does not have the fingerprint that was signalled");
            }

            return;
        }

        var error = OpenSsl.SSL_get_error(_ssl, result);
        var reason = error is OpenSsl.ErrorWantRead or OpenSsl.ErrorWantWrite ? null : OpenSsl.LastError();
        Flush();        // an alert, or the next flight
        if (reason is not null)
        {
            Fail(reason);
        }
    }

    private bool PeerMatchesFingerprint()
    {
        var certificate = OpenSsl.SSL_get1_peer_certificate(_ssl);
        if (certificate == 0)
        {
            return false;
        }

        Span<byte> digest = stackalloc byte[64];
        uint length = 0;
        fixed (byte* output = digest)
        {
            _ = OpenSsl.X509_digest(certificate, OpenSsl.EVP_sha256(), output, &length);
        }

        OpenSsl.X509_free(certificate);
        return _expected.Matches(digest[..(int)length]);
    }

    private void Fail(string reason) => (Progress, Failure) = (DtlsProgress.Failed, reason);

    private void Flush()
    {
        while (true)
        {
            int length;
            fixed (byte* data = _flight)
            {
                length = OpenSsl.BIO_read(_outgoing, data, FlightCapacity);
            }

            if (length <= 0)
            {
                return;
            }

            SendInDatagrams(_flight.AsSpan(0, length));
        }
    }

    private void SendInDatagrams(ReadOnlySpan<byte> flight)
    {
        var datagram = 0;
        while (datagram < flight.Length)
        {
            var end = datagram;
            while (end < flight.Length)
            {
                var record = RecordLength(flight[end..]);
                if (end > datagram && end - datagram + record > Mtu)
                {
                    break;
                }

                end += record;
            }

            _send(flight[datagram..end]);
            datagram = end;
        }
    }

    private static int RecordLength(ReadOnlySpan<byte> records) => records.Length < RecordHeader
        ? records.Length
        : Math.Min(RecordHeader + ((records[11] << 8) | records[12]), records.Length);
}
