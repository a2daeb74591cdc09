using System.Runtime.InteropServices;
using VoicePlatform.MediaServer.Transport.Ice;

namespace VoicePlatform.MediaServer.Sip.Media.Net;

/// <summary>What to do with a packet.</summary>
internal enum Verdict
{
    Refuse,
    Accept,

    /// <summary>Accept; its sequence and timestamps have nothing to do with those before.</summary>
    AcceptNewStream,
}

/// <summary>
/// Symmetric RTP: decides whose packets are the other side's, and so where ours go. Not thread-safe.
/// <list type="number">
/// <item>After an offer or answer that names a new address, the first valid packet, from wherever, is the other side's: behind a NAT the
/// address in the SDP is not the one packets come from. Only the source that was left goes on for a while: it must wait half a second.</item>
/// <item>From then on other addresses are refused, unless they show three packets in sequence, and are the address in the SDP (a
/// stranger was first), or are authenticated by SRTP (the phone has moved), or the stream has been silent for a second and they share
/// its IP address or its SSRC (a NAT gave it another port, the phone began anew).</item>
/// <item>From the same address a new SSRC is taken at its second packet in sequence, or at once when the old one is silent for 100 ms.</item>
/// </list>
/// </summary>
internal sealed class SourceLatch
{
    private const int Run = 3;
    private const int StreamRun = 2;
    private const int SilenceMs = 1_000;
    private const int StreamSilenceMs = 100;
    private const int FormerMs = 500;

    private RemoteAddress _declared;
    private bool _isLatched;
    private RemoteAddress _address;
    private RemoteAddress _former;
    private long _declaredMs;
    private uint _ssrc;
    private long _lastMs;
    private Candidate _candidate;

    /// <summary>Where packets come from; null before the first.</summary>
    public RemoteAddress? Address => _isLatched ? _address : null;

    public uint Ssrc => _ssrc;

    /// <summary>The address in the other side's SDP. A new one lets go of the old source; the first keeps what came before the answer did.</summary>
    public void Declare(in RemoteAddress declared, long nowMs)
    {
        if (_declared == default)
        {
            _declared = declared;
        }
        else if (declared != _declared)
        {
            _former = _isLatched && _address != declared ? _address : default;
            (_declared, _declaredMs, _isLatched, _candidate) = (declared, nowMs, false, default);
        }
    }

    public Verdict Judge(in RemoteAddress from, uint ssrc, ushort sequence, bool isAuthentic, long nowMs)
    {
        if (!_isLatched)
        {
            return from == _former && nowMs - _declaredMs < FormerMs ? Verdict.Refuse : Take(from, ssrc, nowMs);
        }

        if (from == _address)
        {
            if (ssrc == _ssrc)
            {
                _lastMs = nowMs;
                _candidate = _candidate.Address == from ? default : _candidate;     // two streams from one address: the first goes on
                return Verdict.Accept;
            }

            return nowMs - _lastMs >= StreamSilenceMs || RunOf(from, ssrc, sequence) >= StreamRun ? Take(from, ssrc, nowMs) : Verdict.Refuse;
        }

        var isSilent = nowMs - _lastMs >= SilenceMs;
        var mayTakeOver = isAuthentic || from == _declared || (isSilent && (ssrc == _ssrc || (from.High == _address.High && from.Low == _address.Low)));
        return mayTakeOver && RunOf(from, ssrc, sequence) >= Run ? Take(from, ssrc, nowMs) : Verdict.Refuse;
    }

    private int RunOf(in RemoteAddress from, uint ssrc, ushort sequence)
    {
        var isNext = _candidate.Run > 0 && _candidate.Address == from && _candidate.Ssrc == ssrc && sequence == (ushort)(_candidate.Sequence + 1);
        _candidate = new Candidate(from, ssrc, sequence, isNext ? _candidate.Run + 1 : 1);
        return _candidate.Run;
    }

    private Verdict Take(in RemoteAddress from, uint ssrc, long nowMs)
    {
        var isSameStream = _isLatched && ssrc == _ssrc;
        (_isLatched, _address, _ssrc, _lastMs, _candidate) = (true, from, ssrc, nowMs, default);
        return isSameStream ? Verdict.Accept : Verdict.AcceptNewStream;
    }

    [StructLayout(LayoutKind.Auto)]
    private readonly record struct Candidate(RemoteAddress Address, uint Ssrc, ushort Sequence, int Run);
}
