using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Agent.Pipeline;

/// <summary>What became of a report.</summary>
internal enum Told { Yes, NotYet, Refused }

/// <summary>
/// Tells Session what was said and used: soon after it happened, and every five seconds that the conversation still runs. What
/// could not be told stays until it can, so that a database that is away for a while loses nothing.
/// </summary>
internal sealed class Reporter(string sessionId, Func<ReportProgress, CancellationToken, Task<Result<ReportAnswer>>> send, TimeProvider clock, Action<ConversationEvent.Reported> answered, Action<Exception> failed)
    : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    // Pauses between the last tries to tell how it ended.
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(15);

    // Notes are worth having, not worth memory without bound; lines and turns are as many as were spoken.
    private const int MostNotes = 200;

    // Lines come one by one while somebody speaks: a moment later, several go together.
    private static readonly TimeSpan Gather = TimeSpan.FromMilliseconds(50);

    private readonly Lock _lock = new();        // Guards what waits to be told; held for copying only.
    private readonly Dictionary<int, SpokenLine> _lines = [];
    private readonly Dictionary<int, TurnTiming> _turns = [];
    private readonly Dictionary<(int, bool, string, string, string, bool), UsageTotal> _usage = [];
    private readonly List<SessionNote> _notes = [];
    private readonly WakeUp _wakeUp = new();
    private bool _callerPresent;
    private DateTimeOffset? _endedAt;
    private int _notesLost;

    public void Line(SpokenLine line) => Add(() => _lines[line.Seq] = line);

    public void Turn(TurnTiming turn) => Add(() => _turns[turn.Turn] = turn);

    /// <summary>Beyond what is kept while nothing can be told, notes are lost and counted.</summary>
    public void Note(string kind, string detail) => Add(() =>
    {
        if (_notes.Count < MostNotes)
        {
            _notes.Add(new(clock.GetUtcNow(), kind, detail));
        }
        else
        {
            _notesLost++;
        }
    });

    /// <summary>From now on the conversation counts as started.</summary>
    public void CallerIsPresent() => Add(() => _callerPresent = true);

    /// <summary>When the conversation was over; null while it is not.</summary>
    public DateTimeOffset? EndedAt
    {
        get
        {
            lock (_lock)
            {
                return _endedAt;
            }
        }
    }

    /// <summary>The conversation is over: whatever is told from now on, however late, is of that time.</summary>
    public void Ended(DateTimeOffset at)
    {
        lock (_lock)
        {
            _endedAt = at;
        }
    }

    /// <summary>A running total; told with the next report, and none of its own.</summary>
    public void Usage(UsageTotal total)
    {
        lock (_lock)
        {
            _usage[total.Key] = total;
        }
    }

    public async Task RunAsync(CancellationToken ct)
    {
        try
        {
            while (true)
            {
                if (await FlushAsync(ct) is Told.NotYet)
                {
                    // Whatever happens meanwhile: who does not answer is not asked more often.
                    await Task.Delay(ConversationTimes.ReportInterval, clock, ct);
                    continue;
                }

                await _wakeUp.WaitAsync(ConversationTimes.ReportInterval, clock, ct);
                await Task.Delay(Gather, clock, ct);
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            // Its owner flushes a last time.
        }
    }

    /// <summary>Tells the rest, again and again while it cannot be told. False: it could not within <paramref name="patience"/>.</summary>
    public async Task<bool> CloseAsync(TimeSpan patience)
    {
        var since = clock.GetTimestamp();
        for (var pause = FirstPause; ; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            if (await FlushAsync(CancellationToken.None) is not Told.NotYet)
            {
                return true;
            }

            if (clock.GetElapsedTime(since) + pause > patience)
            {
                return false;
            }

            await Task.Delay(pause, clock, CancellationToken.None);
        }
    }

    /// <summary>What could not be told waits for the next time; what is refused is not told again.</summary>
    public async Task<Told> FlushAsync(CancellationToken ct)
    {
        ReportProgress report;
        lock (_lock)
        {
            if (_notesLost > 0)
            {
                _notes[^1] = new(clock.GetUtcNow(), "notes.lost", $"{_notesLost + 1} notes were not kept.");
            }

            report = new(sessionId, [.. _lines.Values.OrderBy(l => l.Seq)], [.. _turns.Values], [.. _usage.Values], [.. _notes], _callerPresent)
            {
                At = _endedAt ?? clock.GetUtcNow(),
            };
        }

        using var timeout = new CancellationTokenSource(Patience, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, timeout.Token);
        try
        {
            var sentAt = clock.GetUtcNow();
            var result = await send(report, either.Token);
            if (!result.IsOk)
            {
                failed(new InvalidOperationException(result.Error.Code));
                return result.Error.Kind is ErrorKind.Unavailable ? Told.NotYet : Told.Refused;
            }

            Forget(report);
            answered(new(result.Value.Continuation, sentAt + result.Value.Covered));
            return Told.Yes;
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            failed(e);
            return Told.NotYet;
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
            _notesLost = told.Notes is [.., { Kind: "notes.lost" }] ? 0 : _notesLost;
        }
    }
}
