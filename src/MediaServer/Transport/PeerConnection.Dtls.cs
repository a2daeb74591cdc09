using Microsoft.Extensions.Logging;
using VoicePlatform.MediaServer.Transport.Dtls;
using VoicePlatform.MediaServer.Transport.Sctp;
using VoicePlatform.MediaServer.Transport.Srtp;

namespace VoicePlatform.MediaServer.Transport;

/// <summary>The handshake, and what it makes: keys for media and an association for data.</summary>
internal sealed partial class PeerConnection
{
    /// <summary>A datagram of DTLS from an address that proved to be this peer's. Receive thread.</summary>
    internal void OnDtls(ReadOnlySpan<byte> datagram)
    {
        bool wasUp, isUp;
        lock (_gate)
        {
            if (_isDisposed || _dtls is null)
            {
                return;
            }

            wasUp = _dtls.Progress == DtlsProgress.Established;
            _dtls.Receive(datagram);
            isUp = _dtls.Progress == DtlsProgress.Established;
            if (isUp)
            {
                _heardAtMs = _clock.NowMs;
            }
        }

        if (isUp && !wasUp)
        {
            Establish();
        }

        while (ReadRecord() is var length && length > 0)
        {
            _transport.Inbox.Add(this, _plain.AsSpan(0, length));
        }

        ReportDtlsEnd();
    }

    private void StartDtls()
    {
        if (_dtls is not null || _remote is null)
        {
            return;
        }

        lock (_gate)
        {
            if (_isDisposed || _offer is null)
            {
                return;
            }

            _dtls = new DtlsSession(_transport.Identity, _isDtlsClient, _offer.Fingerprint, SendToRemote);
            _dtls.Start();
        }
    }

    private void Establish()
    {
        SrtpKeys keys;
        lock (_gate)
        {
            if (_isDisposed)
            {
                return;
            }

            keys = _dtls!.ExportSrtpKeys();
        }

        if (keys.Profile != SrtpProfile.None)
        {
            lock (_inboundGate)
            {
                _inbound = SrtpSession.Create(keys.Profile, keys.Inbound, isInbound: true);
            }

            _sender.Use(SrtpSession.Create(keys.Profile, keys.Outbound, isInbound: false));
            _sender.IsOpen = true;
        }

        _sctp = new SctpAssociation(this, SendRecord);
        Interlocked.MemoryBarrier();        // either DisposeAsync sees what was made above, or it is seen here to have run
        if (_isDisposed)
        {
            Free();
            return;
        }

        _sctp.Connect();
        Established(keys.Profile);
        Move(PeerState.Connected);
    }

    /// <summary>Releases what <see cref="Establish"/> made. May be called twice, and from two threads.</summary>
    private void Free()
    {
        Interlocked.MemoryBarrier();
        _sctp?.Dispose();
        _sender.Dispose();
        lock (_inboundGate)
        {
            _inbound?.Dispose();
            _inbound = null;
        }
    }

    private int ReadRecord()
    {
        lock (_gate)
        {
            return _isDisposed || _dtls is null ? 0 : _dtls.Read(_plain);
        }
    }

    private void SendRecord(ReadOnlySpan<byte> plain)
    {
        lock (_gate)
        {
            if (!_isDisposed || State == PeerState.Closed)
            {
                _dtls?.Write(plain);
            }
        }
    }

    private void SendToRemote(ReadOnlySpan<byte> datagram)
    {
        if (_remote is { } remote)
        {
            _transport.Send(datagram, remote);
        }
    }

    private void ReportDtlsEnd()
    {
        if (_dtls is not { } dtls || dtls.Progress is DtlsProgress.Handshaking or DtlsProgress.Established || _isDisposed)
        {
            return;
        }

        if (dtls.Progress == DtlsProgress.Failed && State is not PeerState.Failed)
        {
            DtlsFailed(dtls.Failure ?? "no reason given");
        }

        Move(dtls.Progress == DtlsProgress.Failed ? PeerState.Failed : PeerState.Closed);
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "DTLS is up, SRTP profile {Profile}.")]
    private partial void Established(SrtpProfile profile);

    [LoggerMessage(Level = LogLevel.Warning, Message = "DTLS failed: {Reason}.")]
    private partial void DtlsFailed(string reason);
}
