namespace VoicePlatform.MediaServer.Sip.Media.Playout;

/// <summary>
/// How long before their time packets came, at the worst moment of the last seconds. That is the whole measure of jitter and of drifting
/// clocks: where all come early sound can be played sooner, where some come too late it must be played later.
/// </summary>
internal sealed class DelayWindow
{
    private const int Buckets = 8;
    private const int TicksPerBucket = 50;      // of 20 ms

    private readonly int[] _lowest = new int[Buckets];
    private int _current;
    private int _filled;
    private int _ticks;

    public DelayWindow() => Reset();

    /// <summary>Lowest of the last 8 s; <see cref="int.MaxValue"/> before the first second is over.</summary>
    public int Lowest => Of(Buckets, least: 2);

    /// <summary>Lowest of the last 2 s; <see cref="int.MaxValue"/> before they are over.</summary>
    public int LowestOfLate => Of(2, least: 3);

    /// <summary>Lowest since the beginning or of the last 8 s.</summary>
    public int LowestSoFar => Of(Buckets, least: 0);

    /// <summary>Once every 20 ms.</summary>
    public void Tick()
    {
        if (++_ticks == TicksPerBucket)
        {
            _ticks = 0;
            _current = (_current + 1) % Buckets;
            _lowest[_current] = int.MaxValue;
            _filled = Math.Min(_filled + 1, Buckets);
        }
    }

    /// <param name="slack">Samples that a packet came before its time; less than 0: after it.</param>
    public void Observe(int slack) => _lowest[_current] = Math.Min(_lowest[_current], slack);

    /// <summary>The delay was changed: packets seen before would have been so much earlier.</summary>
    public void Shift(int by)
    {
        foreach (ref var lowest in _lowest.AsSpan())
        {
            lowest = lowest == int.MaxValue ? lowest : lowest + by;
        }
    }

    public void Reset()
    {
        Array.Fill(_lowest, int.MaxValue);
        (_current, _filled, _ticks) = (0, 1, 0);
    }

    private int Of(int buckets, int least)
    {
        if (_filled < least)
        {
            return int.MaxValue;
        }

        var lowest = int.MaxValue;
        for (var i = 0; i < buckets; i++)
        {
            lowest = Math.Min(lowest, _lowest[(_current + Buckets - i) % Buckets]);
        }

        return lowest;
    }
}
