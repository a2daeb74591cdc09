namespace VoicePlatform.MediaServer.Transport;

/// <summary>Monotonic milliseconds for intervals and NTP time for sender reports, from one source.</summary>
internal sealed class MediaClock(TimeProvider clock)
{
    private static readonly DateTimeOffset s_ntpEpoch = new(1900, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private readonly long _start = clock.GetTimestamp();
    private readonly DateTimeOffset _startAt = clock.GetUtcNow();

    /// <summary>Milliseconds since this clock was made, plus one: zero stays free for "never".</summary>
    public long NowMs => clock.GetElapsedTime(_start).Ticks / TimeSpan.TicksPerMillisecond + 1;

    /// <summary>64-bit NTP time: seconds since 1900 in the upper half. Steps of the wall clock after the start do not show.</summary>
    public ulong NtpNow()
    {
        var since = _startAt + clock.GetElapsedTime(_start) - s_ntpEpoch;
        var seconds = (ulong)since.Ticks / TimeSpan.TicksPerSecond;
        var rest = (ulong)since.Ticks % TimeSpan.TicksPerSecond;
        return (seconds << 32) | ((rest << 32) / TimeSpan.TicksPerSecond);
    }
}
