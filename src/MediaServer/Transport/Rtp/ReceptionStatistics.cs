namespace VoicePlatform.MediaServer.Transport.Rtp;

/// <summary>Loss and jitter of one received stream, as RFC 3550 (appendix A) computes them. Written by the receive thread only.</summary>
/// <param name="clockRate">Ticks a second of the RTP timestamps.</param>
internal sealed class ReceptionStatistics(int clockRate = 48_000)
{
    /// <summary>A jump of more than this is a restarted sender, not loss.</summary>
    private const int MaxDropout = 3_000;

    private bool _isStarted;
    private uint _cycles;
    private ushort _highest;
    private uint _base;
    private uint _received;
    private uint _expectedBefore;
    private uint _receivedBefore;
    private long _lostBefore;
    private double _jitter;
    private int _lastTransit;
    private uint _lastSenderReport;
    private long _lastSenderReportAtMs;

    /// <summary>In units of the RTP clock.</summary>
    public uint Jitter => (uint)_jitter;

    public long Lost => _lostBefore + (_isStarted ? Math.Max(0, (long)Expected - _received) : 0);

    public uint HighestSequence => _cycles | _highest;

    private uint Expected => HighestSequence - _base + 1;

    public void OnPacket(ushort sequence, uint timestamp, long nowMs)
    {
        var transit = (int)((uint)(nowMs * (clockRate / 1000)) - timestamp);
        var ahead = (ushort)(sequence - _highest);
        if (!_isStarted || (ahead > MaxDropout && ahead < 0x1_0000 - MaxDropout))
        {
            _lostBefore = Lost;
            (_isStarted, _cycles, _highest, _base, _received) = (true, 0, sequence, sequence, 1);
            (_expectedBefore, _receivedBefore, _lastTransit) = (0, 0, transit);
            return;
        }

        if (ahead is > 0 and <= MaxDropout)
        {
            if (sequence < _highest)
            {
                _cycles += 0x1_0000;
            }

            _highest = sequence;
        }

        _received++;
        var difference = Math.Abs((double)(transit - _lastTransit));
        _lastTransit = transit;

        // A silent sender's timestamps jump with the silence; a second and more is no jitter.
        if (difference < clockRate)
        {
            _jitter += (difference - _jitter) / 16;
        }
    }

    public void OnSenderReport(ulong ntp, long nowMs) => (_lastSenderReport, _lastSenderReportAtMs) = ((uint)(ntp >> 16), nowMs);

    /// <summary>The block of the next receiver report; starts a new interval.</summary>
    public ReportBlock Report(uint ssrc, long nowMs)
    {
        var expected = Expected - _expectedBefore;
        var received = _received - _receivedBefore;
        (_expectedBefore, _receivedBefore) = (Expected, _received);
        var lost = (int)(expected - received);
        var fraction = expected == 0 || lost <= 0 ? 0 : Math.Min(255, (lost << 8) / (int)expected);
        var delay = _lastSenderReport == 0 ? 0 : (uint)((nowMs - _lastSenderReportAtMs) * 65_536 / 1_000);
        return new ReportBlock(ssrc, (byte)fraction, (int)Math.Min(Lost, 0x7F_FFFF), HighestSequence, Jitter, _lastSenderReport, delay);
    }
}
