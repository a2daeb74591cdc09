using System.Net;
using VoicePlatform.MediaServer.Transport.Ice;
using VoicePlatform.MediaServer.Transport.Sdp;

namespace VoicePlatform.MediaServer.Transport;

/// <summary>The way to the client: ICE checks and the addresses they proved.</summary>
internal sealed partial class PeerConnection
{
    /// <summary>A check addressed to one of this peer's user names. Receive thread.</summary>
    internal void OnStun(in StunMessage request, ReadOnlySpan<byte> remoteUfrag, ulong key, SocketAddress from)
    {
        var address = RemoteAddress.From(from);
        Span<byte> answer = stackalloc byte[128];
        int length;
        lock (_gate)
        {
            var ice = _ice?.Key == key ? _ice : _previousIce?.Key == key ? _previousIce : null;
            if (_isDisposed || ice is null || !remoteUfrag.SequenceEqual(ice.RemoteUfrag) || !request.IsAuthentic(ice.PasswordBytes))
            {
                _transport.Counters.StunRefused++;
                return;
            }

            if (request.IsControlled)
            {
                // Both would be controlled; the client has to take over (RFC 8445 section 7.3.1.1).
                length = StunMessage.WriteError(answer, request.Transaction, 487, ice.PasswordBytes);
            }
            else
            {
                length = StunMessage.WriteSuccess(answer, request.Transaction, address, ice.PasswordBytes);
                Hear(ice, address, from, request.UseCandidate);
            }
        }

        _transport.Send(answer[..length], from);
        StartDtls();
        ReportLiveness();
    }

    private void UseTransport(SessionOffer offer)
    {
        lock (_gate)
        {
            if (_offer is null)
            {
                _isDtlsClient = offer.IsPassive;
            }

            if (_offer is null || _offer.IceUfrag != offer.IceUfrag || _offer.IcePassword != offer.IcePassword)
            {
                // An ICE restart: checks of the old session count until the new one is up; DTLS and SRTP go on as they are.
                _transport.Forget(_previousIce);
                _previousIce = _ice;
                _ice = new IceCredentials(offer.IceUfrag);
                _transport.Register(_ice, this);
            }
        }
    }

    /// <summary>Counts an authentic check; called under the gate.</summary>
    private void Hear(IceCredentials ice, in RemoteAddress address, SocketAddress from, bool isNominated)
    {
        _heardAtMs = _clock.NowMs;
        if (!_addresses.Contains(address))
        {
            if (_addresses.Count == MaxAddresses)
            {
                var oldest = _addresses[0] == _remoteKey ? 1 : 0;       // never the one in use
                _transport.Unmap(_addresses[oldest], this);
                _addresses.RemoveAt(oldest);
            }

            _addresses.Add(address);
        }

        _transport.Map(address, this);
        if (ice != _ice || (!isNominated && _remote is not null))
        {
            // The old session of a restart must not take the path back. The very first check counts as it is: a client sends its first
            // DTLS record as soon as a check was answered, before it nominates, and one that is lost costs it a retransmission.
            return;
        }

        if (_previousIce is not null)
        {
            _transport.Forget(_previousIce);
            _previousIce = null;
        }

        if (_remote is null || _remoteKey != address)
        {
            _remoteKey = address;
            var copy = new SocketAddress(from.Family, from.Size);
            from.Buffer.Span[..from.Size].CopyTo(copy.Buffer.Span);
            _remote = copy;
        }
    }
}
