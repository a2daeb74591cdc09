using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Agent.Pipeline;

/// <summary>
/// Tells Session what was said and used: soon after it happened, and every five seconds that the conversation still runs. What
/// could not be told stays until it can, so that a database that is away for a while loses nothing.
/// </summary>
internal sealed class Reporter(string sessionId, Func<ReportProgress, CancellationToken, Task<Result<Continuation>>> send, TimeProvider clock, Action<Continuation> answered, Action<Exception> failed)
    : IDisposable
{
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    // Lines come one by one while somebody speaks: a moment later, several go together.
    private static readonly TimeSpan Gather = TimeSpan.FromMilliseconds(50);

    private readonly Lock _lock = new();        // Guards what waits to be told; held for copying only.
    private readonly Dictionary<int, SpokenLine> _lines = [];
    private readonly Dictionary<int, TurnTiming> _turns = [];
    private readonly Dictionary<(string, string, string), UsageTotal> _usage = [];
    private readonly List<SessionNote> _notes = [];
    private readonly WakeUp _wakeUp = new();
    private bool _callerPresent;

    public void Line(SpokenLine line) => Add(() => _lines[line.Seq] = line);

    public void Turn(TurnTiming turn) => Add(() => _turns[turn.Turn] = turn);

    public void Note(string kind, string detail) => Add(() => _notes.Add(new(clock.GetUtcNow(), kind, detail)));

    /// <summary>From now on the conversation counts as started.</summary>
    public void CallerIsPresent() => Add(() => _callerPresent = true);

    /// <summary>A running total; told with the next report, and none of its own.</summary>
    public void Usage(UsageTotal total)
    {
        lock (_lock)
        {
            _usage[(total.Component, total.Provider, total.Model)] = total;
        }
    }

    public async Task RunAsync(CancellationToken ct)
    {
        try
        {
            while (true)
            {
                await FlushAsync(ct);
                await _wakeUp.WaitAsync(Interval, clock, ct);
                await Task.Delay(Gather, clock, ct);
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            // Its owner flushes a last time.
        }
    }

    /// <summary>False when it could not be told; then it waits for the next time.</summary>
    public async Task<bool> FlushAsync(CancellationToken ct)
    {
        ReportProgress report;
        lock (_lock)
        {
            report = new(sessionId, [.. _lines.Values.OrderBy(l => l.Seq)], [.. _turns.Values], [.. _usage.Values], [.. _notes], _callerPresent);
        }

        using var timeout = new CancellationTokenSource(Patience, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, timeout.Token);
        try
        {
            var result = await send(report, either.Token);
            if (!result.IsOk)
            {
                failed(new InvalidOperationException(result.Error.Code));
                return false;
            }

            Forget(report);
            answered(result.Value);
            return true;
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            failed(e);
            return false;
        }
    }

    public void Dispose() => _wakeUp.Dispose();

    private void Add(Action add)
    {
        lock (_lock)
        {
            add();
        }

        _wakeUp.Wake();
    }

    private void Forget(ReportProgress told)
    {
        lock (_lock)
        {
            foreach (var line in told.Lines.Where(l => _lines.GetValueOrDefault(l.Seq) == l))
            {
                _lines.Remove(line.Seq);
            }

            foreach (var turn in told.Turns.Where(t => _turns.GetValueOrDefault(t.Turn) == t))
            {
                _turns.Remove(turn.Turn);
            }

            _notes.RemoveRange(0, told.Notes.Count);
        }
    }
}
