using System.Runtime.CompilerServices;
using VoicePlatform.Agent.Audio;
using VoicePlatform.Agent.Language;
using VoicePlatform.Agent.Pipeline;
using VoicePlatform.Agent.Speech;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.SharedKernel;
using VoicePlatform.Tests.Support;

namespace VoicePlatform.Tests.Agent;

/// <summary>A conversation with scripted ears, mind and voice on the test's clock; only the engine is real.</summary>
internal sealed class ScriptedCall : IAsyncDisposable
{
    private const int Rounds = 5;
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(20);

    private readonly CancellationTokenSource _hungUp = new();
    private readonly SortedDictionary<int, SpokenLine> _lines = [];
    private readonly Dictionary<int, TurnTiming> _turns = [];
    private int _segment;

    public ScriptedCall(AssistantDocument? assistant = null, TimeSpan? maxDuration = null, PhoneCall? phone = null, TimeSpan? covered = null, FakeRoom? room = null)
    {
        Room = room ?? new FakeRoom();
        Line = new FakeLine(Time);
        var plan = new ConversationPlan(
            "session", "tenant", "room", "caller", assistant ?? new AssistantDocument { Name = "Test", Greeting = new Greeting { Text = "Hello and welcome." } },
            new Dictionary<string, string>(), maxDuration ?? TimeSpan.FromMinutes(30), phone) { Covered = covered };
        Reporter = new Reporter("session", Keep, Time, e => Conversation!.Post(e), _ => { });
        Conversation = new Conversation(plan, new Cast(new NoEars(), Mind, Voice), Line, Room, Reporter, Time);
        Running = Conversation.RunAsync(_hungUp.Token);
    }

    public ManualTime Time { get; } = new();

    public FakeLine Line { get; }

    public ScriptedMind Mind { get; } = new();

    public ScriptedVoice Voice { get; } = new();

    public FakeRoom Room { get; }

    public Reporter Reporter { get; }

    public Conversation Conversation { get; }

    public Task<string> Running { get; }

    /// <summary>How reports are answered.</summary>
    public Func<Result<ReportAnswer>> Answer { get; set; } = () => new ReportAnswer(Continuation.GoOn);

    public List<SessionNote> Notes { get; } = [];

    /// <summary>Running totals, as they were last told.</summary>
    public Dictionary<(int, bool, string, string, string, bool), UsageTotal> Usage { get; } = [];

    /// <summary>As it stands in the transcript: who, what, and * when it was interrupted.</summary>
    public async Task<string[]> TranscriptAsync()
    {
        await Reporter.FlushAsync(default);
        return [.. _lines.Values.Select(l => $"{(l.Speaker is Speaker.Agent ? "A" : "U")}{l.Turn}: {l.Text}{(l.Interrupted ? "*" : "")}")];
    }

    public async Task<IReadOnlyDictionary<int, TurnTiming>> TurnsAsync()
    {
        await Reporter.FlushAsync(default);
        return _turns;
    }

    public async Task PostAsync(ConversationEvent e) => await Conversation.PostAsync(e, default);

    public async Task AnswerTheCallAsync()
    {
        await PostAsync(new ConversationEvent.CallerReady());
        await UntilAsync(() => Room.Spoken.Contains("Hello and welcome.") && Room.State == "listening", "the greeting");
    }

    public Task StartSpeakingAsync() => PostAsync(new ConversationEvent.SpeechStarted(Time.GetUtcNow()));

    public async Task StopSpeakingAsync(string? understood)
    {
        await PostAsync(new ConversationEvent.SpeechStopped(Time.GetUtcNow()));
        if (understood is not null)
        {
            await PostAsync(new ConversationEvent.Heard(new Transcription.Final(++_segment, understood, TimeSpan.FromMilliseconds(100))));
        }
    }

    public async Task SayAsync(string text, double seconds = 1)
    {
        await StartSpeakingAsync();
        await PassAsync(seconds);
        await StopSpeakingAsync(text);
    }

    /// <summary>Lets time pass until it is so; fails after a minute of it.</summary>
    public async Task UntilAsync(Func<bool> condition, string what)
    {
        for (var passed = TimeSpan.Zero; !condition(); passed += Step)
        {
            Assert.That(passed, Is.LessThan(TimeSpan.FromMinutes(1)), $"Not within a minute: {what}. State {Room.State}, said: {string.Join(" | ", Room.Spoken)}");
            await StepAsync();
        }
    }

    public async Task PassAsync(double seconds)
    {
        for (var passed = TimeSpan.Zero; passed < TimeSpan.FromSeconds(seconds); passed += Step)
        {
            await StepAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _hungUp.CancelAsync();
        await ((Task)Running).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _hungUp.Dispose();
        Reporter.Dispose();
    }

    private async Task StepAsync()
    {
        // What the last step set in motion runs on the thread pool: a moment of real time lets it, and where others keep the pool busy, that it comes round some times more.
        await Task.Delay(TimeSpan.FromMilliseconds(2), TimeProvider.System);
        for (var i = 0; i < Rounds; i++)
        {
            await Task.Factory.StartNew(() => { }, CancellationToken.None, TaskCreationOptions.PreferFairness, TaskScheduler.Default);
        }

        Time.Advance(Step);
    }

    private Task<Result<ReportAnswer>> Keep(ReportProgress report, CancellationToken ct)
    {
        foreach (var line in report.Lines)
        {
            _lines[line.Seq] = line;
        }

        foreach (var turn in report.Turns)
        {
            _turns[turn.Turn] = turn;
        }

        Notes.AddRange(report.Notes);
        foreach (var total in report.Usage)
        {
            Usage[total.Key] = total;
        }

        return Task.FromResult(Answer());
    }

    private sealed class NoEars : ISpeechToText
    {
        public string Provider => "none";

        public string Model => "none";

        public IRecogniser Open(Action<Transcription> hear) => throw new NotSupportedException("Speech comes as events from the test.");
    }
}

/// <summary>Answers what the test says; by default "You said: …".</summary>
internal sealed class ScriptedMind : ILanguageModel
{
    public string Provider => "test";

    public string Model => "mind";

    public List<Prompt> Asked { get; } = [];

    public Func<Prompt, CancellationToken, IAsyncEnumerable<Generated>> Answer { get; set; } = (prompt, _) => Texts($"You said: {prompt.Text}.");

    public IAsyncEnumerable<Generated> AnswerAsync(Prompt prompt, CancellationToken ct)
    {
        lock (Asked)
        {
            Asked.Add(prompt);
        }

        return Answer(prompt, ct);
    }

    public static async IAsyncEnumerable<Generated> Texts(params string[] pieces)
    {
        foreach (var piece in pieces)
        {
            await Task.Yield();
            yield return new Generated.Text(piece);
        }
    }

    public static async IAsyncEnumerable<Generated> ThenFails(Exception error, params string[] pieces)
    {
        await foreach (var piece in Texts(pieces))
        {
            yield return piece;
        }

        throw error;
    }

    /// <summary>Says this and then nothing, for ever.</summary>
    public static async IAsyncEnumerable<Generated> ThenStalls(TimeProvider clock, string[] pieces, [EnumeratorCancellation] CancellationToken ct)
    {
        await foreach (var piece in Texts(pieces).WithCancellation(ct))
        {
            yield return piece;
        }

        await Task.Delay(Timeout.InfiniteTimeSpan, clock, ct);
    }
}

/// <summary>Every word is 200 ms of sound.</summary>
internal sealed class ScriptedVoice : ITextToSpeech
{
    public string Provider => "test";

    public string Model => "voice";

    public Func<string, Exception?> Fails { get; set; } = _ => null;

    public async IAsyncEnumerable<ReadOnlyMemory<short>> SpeakAsync(string text, [EnumeratorCancellation] CancellationToken ct)
    {
        await Task.Yield();
        if (Fails(text) is { } error)
        {
            throw error;
        }

        var words = text.Split(' ').Length;
        yield return Enumerable.Repeat((short)1000, words * Pcm.SampleRate / 5).ToArray();
    }
}

internal sealed class FakeRoom : IRoomVoice
{
    public List<string> Transfers { get; } = [];

    /// <summary>Why the next transfer does not come about; null: it does.</summary>
    public string? TransferFailure { get; set; }

    /// <summary>How the transfer that is asked for ends, when that is known; null: at once.</summary>
    public TaskCompletionSource<string?>? Transfer { get; set; }

    public Task<string?> TransferAsync(string to)
    {
        Transfers.Add(to);
        return Transfer?.Task ?? Task.FromResult(TransferFailure);
    }

    private readonly Lock _lock = new();
    private readonly List<string> _states = [];
    private readonly Dictionary<string, string> _texts = [];

    public string State
    {
        get
        {
            lock (_lock)
            {
                return _states.Count == 0 ? "" : _states[^1];
            }
        }
    }

    /// <summary>The assistant's lines, in order.</summary>
    public string[] Spoken
    {
        get
        {
            lock (_lock)
            {
                return [.. _texts.Where(t => t.Key.StartsWith("agent", StringComparison.Ordinal)).Select(t => t.Value)];
            }
        }
    }

    public void ShowState(string state)
    {
        lock (_lock)
        {
            _states.Add(state);
        }
    }

    public void ShowText(bool ofCaller, string segment, string text, bool final)
    {
        lock (_lock)
        {
            _texts[segment] = text;
        }
    }
}
