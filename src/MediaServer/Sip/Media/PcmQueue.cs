namespace VoicePlatform.MediaServer.Sip.Media;

/// <summary>Sound that waits to be sent to the phone, at whatever rate it was written. At most 60 s; more is not taken.</summary>
internal sealed class PcmQueue
{
    private const int MaxSeconds = 60;
    private const int Taps = 24;

    private readonly Lock _gate = new();
    private short[] _ring = [];
    private int _start;
    private int _count;
    private int _rate = 8_000;
    private int _outRate;
    private double[][] _phases = [];
    private int _phase;
    private readonly short[] _past = new short[Taps];

    /// <summary>What waits.</summary>
    public TimeSpan Queued
    {
        get
        {
            lock (_gate)
            {
                return TimeSpan.FromSeconds((double)_count / _rate);
            }
        }
    }

    /// <returns>How many samples were taken.</returns>
    /// <exception cref="ArgumentException">Another rate than that of what waits still, or one that is not known.</exception>
    public int Write(ReadOnlySpan<short> pcm, int rate)
    {
        if (rate is not (8_000 or 16_000 or 24_000 or 48_000))
        {
            throw new ArgumentException("Sound can be written at 8,000, 16,000, 24,000 or 48,000 Hz.", nameof(rate));
        }

        lock (_gate)
        {
            if (rate != _rate)
            {
                if (_count > 0)
                {
                    throw new ArgumentException($"Sound of {_rate} Hz is still queued: write the same rate, or wait.", nameof(rate));
                }

                (_rate, _outRate) = (rate, 0);
            }

            var taken = Math.Min(pcm.Length, (MaxSeconds * rate) - _count);
            Grow(_count + taken);
            for (var i = 0; i < taken; i++)
            {
                _ring[(_start + _count + i) % _ring.Length] = pcm[i];
            }

            _count += taken;
            return taken;
        }
    }

    /// <summary>Adds what is next to a mix of another rate.</summary>
    public void Add(Span<int> mix, int rate)
    {
        lock (_gate)
        {
            if (_count == 0)
            {
                return;
            }

            if (rate == _rate)
            {
                for (var i = 0; i < mix.Length && _count > 0; i++)
                {
                    mix[i] += Next();
                }

                return;
            }

            Resample(mix, rate);
        }
    }

    public void Clear()
    {
        lock (_gate)
        {
            _count = 0;
        }
    }

    private static int Divisor(int a, int b) => b == 0 ? a : Divisor(b, a % b);

    private short Next()
    {
        var sample = _ring[_start];
        _start = (_start + 1) % _ring.Length;
        _count--;
        return sample;
    }

    private void Grow(int needed)
    {
        if (needed <= _ring.Length)
        {
            return;
        }

        var larger = new short[Math.Max(needed, Math.Min(2 * _ring.Length, MaxSeconds * _rate))];
        for (var i = 0; i < _count; i++)
        {
            larger[i] = _ring[(_start + i) % _ring.Length];
        }

        (_ring, _start) = (larger, 0);
    }

    /// <summary>A windowed sinc in as many phases as the two rates need: at most six.</summary>
    private void Resample(Span<int> mix, int rate)
    {
        var divisor = Divisor(rate, _rate);
        var (up, down) = (rate / divisor, _rate / divisor);
        if (rate != _outRate)
        {
            (_outRate, _phase) = (rate, 0);
            Array.Clear(_past);
            _phases = [.. Enumerable.Range(0, up).Select(p => Kernel(p / (double)up, Math.Min(1.0, (double)rate / _rate)))];
        }

        for (var i = 0; i < mix.Length; i++)
        {
            var sum = 0.0;
            var kernel = _phases[_phase];
            for (var k = 0; k < Taps; k++)
            {
                sum += _past[k] * kernel[k];
            }

            mix[i] += (int)sum;
            for (_phase += down; _phase >= up; _phase -= up)
            {
                if (_count == 0)
                {
                    _phase %= up;
                    return;
                }

                _past.AsSpan(1).CopyTo(_past);
                _past[^1] = Next();
            }
        }
    }

    private static double[] Kernel(double phase, double cutoff)
    {
        var kernel = new double[Taps];
        for (var k = 0; k < Taps; k++)
        {
            var x = k - ((Taps / 2) - 1) - phase;
            var window = 0.5 + (0.5 * Math.Cos(2 * Math.PI * x / Taps));
            kernel[k] = window * cutoff * (x == 0 ? 1 : Math.Sin(Math.PI * x * cutoff) / (Math.PI * x * cutoff));
        }

        var sum = kernel.Sum();
        return [.. kernel.Select(k => k / sum)];
    }
}
