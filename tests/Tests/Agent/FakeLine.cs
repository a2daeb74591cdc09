using VoicePlatform.Agent.Audio;
using VoicePlatform.Agent.Pipeline;

namespace VoicePlatform.Tests.Agent;

/// <summary>
/// A telephone line that plays at the pace of the test's clock and knows every sample that came out at its end. As the real one it takes a frame at a time, and who waits
/// with one when it is emptied waits some milliseconds more.
/// </summary>
internal sealed class FakeLine(TimeProvider clock) : IAudioOut
{
    private static readonly TimeSpan Capacity = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan Frame = TimeSpan.FromMilliseconds(Pcm.FrameMs);

    private readonly Lock _lock = new();
    private readonly List<(DateTimeOffset At, short[] Samples)> _frames = [];
    private CancellationTokenSource _cleared = new();
    private DateTimeOffset _until;
    private bool _isTaking;

    /// <summary>It holds more than it takes: a writer waits until it has played some.</summary>
    public bool IsFull
    {
        get
        {
            lock (_lock)
            {
                return _until - clock.GetUtcNow() > Capacity;
            }
        }
    }

    /// <summary>How long who waits with a frame waits on when the line is emptied, of real time.</summary>
    public TimeSpan Release { get; set; } = TimeSpan.FromMilliseconds(10);

    /// <summary>A writer waits until it has played some.</summary>
    public bool IsTaking
    {
        get
        {
            lock (_lock)
            {
                return _isTaking;
            }
        }
    }

    /// <summary>Frames played or still to be played.</summary>
    public int Given
    {
        get
        {
            lock (_lock)
            {
                return _frames.Count;
            }
        }
    }

    public TimeSpan Queued
    {
        get
        {
            lock (_lock)
            {
                var queued = _until - clock.GetUtcNow();
                return queued > TimeSpan.Zero ? queued : TimeSpan.Zero;
            }
        }
    }

    /// <summary>The first sample of each frame that was played, in order: frames of the tests are of one value each.</summary>
    public short[] Heard
    {
        get
        {
            lock (_lock)
            {
                var now = clock.GetUtcNow();
                return [.. _frames.Where(f => f.At < now).Select(f => f.Samples[0])];
            }
        }
    }

    /// <summary>Whether every frame is of one value throughout: none was overwritten while it waited.</summary>
    public bool FramesAreWhole
    {
        get
        {
            lock (_lock)
            {
                return _frames.TrueForAll(f => Array.TrueForAll(f.Samples, s => s == f.Samples[0] || s == 0));
            }
        }
    }

    public async ValueTask PlayAsync(ReadOnlyMemory<short> frame, CancellationToken ct)
    {
        Task wait;
        lock (_lock)
        {
            if (_isTaking)
            {
                throw new InvalidOperationException("The previous frame has not been taken yet.");
            }

            var now = clock.GetUtcNow();
            var at = _until > now ? _until : now;
            _frames.Add((at, frame.ToArray()));
            _until = at + Frame;
            if (_until - now <= Capacity)
            {
                return;
            }

            _isTaking = true;
            wait = Task.Delay(_until - now - Capacity, clock, _cleared.Token);
        }

        await wait.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        lock (_lock)
        {
            _isTaking = false;
        }
    }

    public void Clear()
    {
        CancellationTokenSource cleared;
        lock (_lock)
        {
            var now = clock.GetUtcNow();
            _frames.RemoveAll(f => f.At >= now);
            _until = now;
            (cleared, _cleared) = (_cleared, new CancellationTokenSource());
        }

        _ = ReleaseAsync();

        async Task ReleaseAsync()
        {
            await Task.Delay(Release, TimeProvider.System);      // The real one releases whatever the clock of a test says.
            await cleared.CancelAsync();
            cleared.Dispose();
        }
    }
}
