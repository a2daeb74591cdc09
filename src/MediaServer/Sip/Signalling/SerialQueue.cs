using Microsoft.Extensions.Logging;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>
/// Runs what happens to one call, registration or ping one at a time, on the thread pool, in the order in which it came. All state of a
/// call is touched only here, so it needs no locks.
/// </summary>
internal sealed partial class SerialQueue(ILogger log, UserAgentCounters counters) : IThreadPoolWorkItem
{
    private const int MaxMessages = 256;

    private readonly Lock _lock = new();        // protects the two fields below
    private readonly Queue<Action> _work = new();
    private bool _running;

    /// <summary>What a fault in here ends.</summary>
    public Action? OnFault { get; set; }

    /// <summary>For messages of a peer: with too many waiting they are dropped and counted, as the network might have done.</summary>
    public void PostMessage(Action action)
    {
        if (!Enqueue(action, MaxMessages))
        {
            counters.Count(ref counters.DroppedFull);
        }
    }

    /// <summary>For timers and calls of our own, whose number is small by nature.</summary>
    public void Post(Action action) => Enqueue(action, int.MaxValue);

    public void Execute()
    {
        while (true)
        {
            Action? action;
            lock (_lock)
            {
                if (!_work.TryDequeue(out action))
                {
                    _running = false;
                    return;
                }
            }

            Run(action);
        }
    }

    private bool Enqueue(Action action, int limit)
    {
        lock (_lock)
        {
            if (_work.Count >= limit)
            {
                return false;
            }

            _work.Enqueue(action);
            if (_running)
            {
                return true;
            }

            _running = true;
        }

        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        return true;
    }

    private void Run(Action action)
    {
        try
        {
            action();
        }
#pragma warning disable CA1031 // one call's fault must not touch another
        catch (Exception e)
#pragma warning restore CA1031
        {
            counters.Count(ref counters.Faults);
            Fault(e);
            if (OnFault is { } end)
            {
                OnFault = null;
                Run(end);
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "The SIP user agent had a fault; the call it happened to is ended.")]
    private partial void Fault(Exception fault);
}

/// <summary>A timer whose action runs on a queue. A stopped or restarted one never fires for its earlier start.</summary>
internal sealed class QueueTimer(SerialQueue queue, TimeProvider clock, Action elapsed) : IDisposable
{
    private ITimer? _timer;
    private int _start;

    public bool IsRunning { get; private set; }

    /// <summary>Starts or restarts it; on the queue only.</summary>
    public void Start(TimeSpan after)
    {
        Stop();
        var start = _start;
        IsRunning = true;
        _timer = clock.CreateTimer(
            _ => queue.Post(() =>
            {
                if (start == _start)
                {
                    Stop();
                    elapsed();
                }
            }),
            null,
            after,
            Timeout.InfiniteTimeSpan);
    }

    public void Stop()
    {
        _start++;
        IsRunning = false;
        _timer?.Dispose();
        _timer = null;
    }

    public void Dispose() => Stop();
}
