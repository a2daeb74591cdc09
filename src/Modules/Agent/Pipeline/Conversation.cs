using System.Threading.Channels;
using VoicePlatform.Agent.Language;
using VoicePlatform.Agent.Speech;
using VoicePlatform.Agent.Turns;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Agent.Pipeline;

/// <summary>What a conversation is made of: who listens, thinks and speaks for the assistant.</summary>
internal sealed record Cast(ISpeechToText Ears, ILanguageModel Mind, ITextToSpeech Voice);

/// <summary>
/// One conversation. Every change of state happens in RunAsync's loop, on one event at a time, so nothing here takes a lock.
/// Everything slow runs outside and reports back by posting an event.
/// </summary>
#pragma warning disable CA1001 // RunAsync disposes of every reply it started before it returns.
internal sealed class Conversation : IReplyObserver
#pragma warning restore CA1001
{
    private const int MailboxCapacity = 256;
    private const string SomethingIsWrong = "I am sorry, something is wrong here and I have to end the conversation. Goodbye.";

    private static readonly TimeSpan LongestWaitForCaller = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan LongestEnding = TimeSpan.FromSeconds(5);

    // An exchange that takes a call over hangs up before it is known that it did.
    private static readonly TimeSpan TransferReport = TimeSpan.FromSeconds(5);

    // Whoever asked to wait may take this long before the assistant asks whether somebody is there.
    private static readonly TimeSpan WaitPatience = TimeSpan.FromMinutes(2);

    private readonly Channel<ConversationEvent> _mailbox = Channel.CreateBounded<ConversationEvent>(
        new BoundedChannelOptions(MailboxCapacity) { SingleReader = true });
    private readonly ConversationPlan _plan;
    private readonly Cast _cast;
    private readonly IAudioOut _line;
    private readonly IRoomVoice _room;
    private readonly Reporter _reporter;
    private readonly TimeProvider _clock;
    private readonly TurnMachine _turns;
    private readonly TurnTimings _timings;
    private readonly MachineWatch _machine;
    private readonly Keypad _keypad = new();
    private readonly Transcript _transcript;
    private readonly Dictionary<(int, bool, string, string, string, bool), UsageTotal> _used = [];
    private readonly Lock _usedLock = new();            // Guards _used: replies tell their usage on tasks of their own.
    private readonly HashSet<Reply> _cutReplies = [];
    private readonly DateTimeOffset _createdAt;
    private readonly List<Task> _ending = [];
    private Reply? _reply;
    private Task _lineIsFree = Task.CompletedTask;      // From the last reply.
    private Speculation? _speculation;
    private int _failures;                              // Answers in a row that failed.
    private int _reprompts;
    private bool _isApology;
    private bool _callerReady;
    private DateTimeOffset _startedAt;
    private DateTimeOffset _coveredUntil = DateTimeOffset.MaxValue;
    private DateTimeOffset _lastActivity;
    private DateTimeOffset _patientUntil;               // Somebody asked to wait until then.
    private bool _isOnHold;                             // By the exchange: nothing said now would be heard.
    private string? _endAfterReply;
    private string? _transferringTo;                    // While it is not known whether that came about.
    private string? _leaveReason;                       // Why it ends unless the transfer under way has come about.
    private DateTimeOffset? _leaveBy;
    private DateTimeOffset? _leftAt;

    public Conversation(ConversationPlan plan, Cast cast, IAudioOut line, IRoomVoice room, Reporter reporter, TimeProvider clock)
    {
        (_plan, _cast, _line, _room, _reporter, _clock) = (plan, cast, line, room, reporter, clock);
        _turns = new TurnMachine(plan.Assistant.Turn, plan.Assistant.Interruption);
        _timings = new TurnTimings(clock);
        _transcript = new Transcript(reporter, room, clock);
        _machine = new MachineWatch(plan.Phone);
        _createdAt = _lastActivity = Now;
    }

    private DateTimeOffset Now => _clock.GetUtcNow();

    private bool AgentSpeaks => _reply is not null && !IsLeaving;

    /// <summary>A goodbye, or that the caller is being transferred, is said to its end.</summary>
    private bool IsLeaving => _endAfterReply is not null || _transferringTo is not null || _reply?.TransferTo is not null;

    /// <summary>Waits while the mailbox is full: nothing that happened is lost. When the conversation is over, nobody needs to know.</summary>
    public async ValueTask PostAsync(ConversationEvent e, CancellationToken ct)
    {
        while (!_mailbox.Writer.TryWrite(e) && await _mailbox.Writer.WaitToWriteAsync(ct))
        {
            // There was room, and somebody else took it.
        }
    }

    /// <summary>For what may be lost: a guess that the next one replaces.</summary>
    public bool TryPost(ConversationEvent e) => _mailbox.Writer.TryWrite(e);

    /// <summary>For threads of others that cannot await; they wait instead.</summary>
    public void Post(ConversationEvent e)
    {
        if (!_mailbox.Writer.TryWrite(e))
        {
            try
            {
                _mailbox.Writer.WriteAsync(e).AsTask().GetAwaiter().GetResult();
            }
            catch (ChannelClosedException)
            {
                // The conversation is over: nobody needs to know any more.
            }
        }
    }

    /// <summary>Holds the conversation to its end; answers why it ended.</summary>
    public async Task<string> RunAsync(CancellationToken ct)
    {
        await using var wake = _clock.CreateTimer(_ => _mailbox.Writer.TryWrite(new ConversationEvent.Woke()), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        try
        {
            _room.ShowState("initializing");
            string? reason = null;
            while (reason is null)
            {
                wake.Change(DueIn(WakeAt()), Timeout.InfiniteTimeSpan);
                reason = Handle(await _mailbox.Reader.ReadAsync(ct));
            }

            return reason;
        }
        finally
        {
            _reporter.Ended(_leftAt ?? Now);
            _mailbox.Writer.TryComplete();
            _ = Cut();
            if (_turns.Text.Length > 0)
            {
                // Understood, and not answered any more.
                KeepTurn();
            }

            Discard();
            foreach (var reply in _cutReplies)
            {
                Own(reply.DisposeAsync().AsTask());
            }

            try
            {
                await Task.WhenAll(_ending).WaitAsync(LongestEnding, _clock, CancellationToken.None);
            }
            catch (TimeoutException)
            {
                _reporter.Note("reply.abandoned", "What was still running (a reply that was cut, a transfer) did not come to its end.");
            }
        }
    }

    void IReplyObserver.SentenceBegins(Reply reply, string sentence) => Post(new ConversationEvent.SentenceBegan(reply, sentence));

    void IReplyObserver.Ended(Reply reply, Exception? error) => Post(new ConversationEvent.ReplyEnded(reply, error));

    void IReplyObserver.Used(UsageTotal usage) => Count(usage);

    /// <summary>On whatever task it was used.</summary>
    private void Count(UsageTotal usage)
    {
        lock (_usedLock)
        {
            _used[usage.Key] = usage = usage.Plus(_used.GetValueOrDefault(usage.Key));
            _reporter.Usage(usage);
        }
    }

    /// <summary>Answers why the conversation is over; null while it is not.</summary>
    private string? Handle(ConversationEvent e)
    {
        switch (e)
        {
            case ConversationEvent.CallerReady when !_callerReady:
                Begin();
                Greet();
                break;
            case ConversationEvent.CallerLeft left:
                _leftAt = left.At ?? Now;
                var reason = _endAfterReply ?? (!_callerReady ? EndReasons.NeverStarted : left.LostLine ? EndReasons.LineLost : EndReasons.CallerLeft);
                if (_transferringTo is null || _endAfterReply is not null)
                {
                    return reason;
                }

                (_leaveReason, _leaveBy) = (reason, Now + TransferReport);
                break;
            case ConversationEvent.Stop stop:
                return stop.Reason;
            case ConversationEvent.SpeechStarted started:
                Touch();
                (_reprompts, _patientUntil) = (0, default);
                _machine.OnSound();
                Discard();
                Follow(_turns.OnStarted(started.At));
                break;
            case ConversationEvent.SpeechContinued:
                _turns.OnContinued();
                break;
            case ConversationEvent.SpeechStopped stopped:
                Touch();
                _machine.OnSilence(stopped.LastSound);
                Follow(_turns.OnStopped(stopped.LastSound));
                break;
            case ConversationEvent.Heard { Transcription: Transcription.Partial partial }:
                _transcript.CallerIsSaying(partial.Text);
                Follow(_turns.OnPartial(partial.Text, AgentSpeaks));
                break;
            case ConversationEvent.Heard { Transcription: Transcription.Final final }:
                _timings.Recognised(final.Took);
                if (_endAfterReply is null && _machine.IsMachine($"{_turns.Text} {final.Text}", Now))
                {
                    return MeetMachine(final.Text);
                }

                Follow(_turns.OnFinal(final.Text, Now, AgentSpeaks));
                Speculate();
                break;
            case ConversationEvent.Heard { Transcription: Transcription.Failed failed }:
                return RecogniserFailed(failed.Error);
            case ConversationEvent.Wrote wrote when _endAfterReply is null:
                Touch();
                _reprompts = 0;
                CutReply();
                Answer(wrote.Text, Now);
                break;
            case ConversationEvent.Pressed pressed when _endAfterReply is null && _callerReady:
                Touch();
                _reprompts = 0;
                CutReply();
                if (_keypad.Press(pressed.Key, Now) is { } keys)
                {
                    Answer(keys, Now);
                }

                break;
            case ConversationEvent.Held held:
                _isOnHold = held.IsOnHold;
                Touch();
                break;
            case ConversationEvent.Beeped when _machine.IsWaiting:
                _turns.OnTone(Now);
                LeaveMessage();
                break;
            case ConversationEvent.Say say when _endAfterReply is null && _callerReady:
                Start(Reply.Fixed(say.Text));
                break;
            case ConversationEvent.SentenceBegan began when began.Reply == _reply:
                Touch();
                _transcript.AssistantBegins(began.Sentence);
                break;
            case ConversationEvent.ReplyEnded ended:
                return ReplyEnded(ended.Reply, ended.Error);
            case ConversationEvent.ProviderGivenUp failed:
                _reporter.Note("provider.failed", failed.Error.Message);
                break;
            case ConversationEvent.Reported { Continuation: Continuation.Ended }:
                return EndReasons.Requested;
            case ConversationEvent.Reported { Continuation: Continuation.GoOn } reported when _callerReady:
                _coveredUntil = Later(_coveredUntil, reported.CoveredUntil ?? DateTimeOffset.MaxValue);
                break;
            case ConversationEvent.Reported { Continuation: Continuation.OutOfCredits } when _endAfterReply is null:
                SayGoodbye("Your credits are used up, so I have to end this conversation. Goodbye.", EndReasons.OutOfCredits);
                break;
            case ConversationEvent.Transferred { Failure: null }:
                return EndReasons.Transferred;
            case ConversationEvent.Transferred transferred:
                _transferringTo = null;
                _reporter.Note("transfer.failed", $"{transferred.To}: {transferred.Failure}");
                if (_leaveReason is not null)
                {
                    return _leaveReason;
                }

                if (_endAfterReply is null)
                {
                    Start(Reply.Fixed("I am sorry, I could not transfer you."));
                }

                break;
            case ConversationEvent.Woke:
                return OnTime();
        }

        return null;
    }

    private void Begin()
    {
        _callerReady = true;
        _startedAt = Touch();
        _coveredUntil = _plan.Covered is { } covered ? _startedAt + covered : DateTimeOffset.MaxValue;
        _machine.OnAnswered(_startedAt);
        _reporter.CallerIsPresent();
    }

    private void Greet()
    {
        var greeting = _plan.Assistant.Greeting;
        if (!greeting.SpeakFirst || greeting.Text.Length == 0)
        {
            _room.ShowState("listening");
            return;
        }

        Start(greeting.Mode is Contracts.Assistants.GreetingMode.Verbatim
            ? Reply.Fixed(greeting.Text)
            : _cast.Mind.AnswerAsync(new Prompt(_plan.Assistant, _plan.Variables, [], "", greeting.Text) { Cut = Count }, CancellationToken.None));
    }

    private void Follow(TurnSignal signal)
    {
        if (IsLeaving || _machine.IsWaiting)
        {
            // Last words are said to their end, and a machine to its beep. What is still said is kept, and not answered.
            switch (signal)
            {
                case TurnSignal.EndOfTurn:
                    KeepTurn();
                    break;
                case TurnSignal.GoOn or TurnSignal.BargeIn:
                    _reply?.GoOn();
                    break;
            }

            return;
        }

        switch (signal)
        {
            case TurnSignal.Hush:
                _reply?.Hush();
                break;
            case TurnSignal.GoOn:
                _reporter.Note("interruption.false", "A sound without words did not interrupt the assistant.");
                _reply?.GoOn();
                break;
            case TurnSignal.BargeIn:
                CutReply();
                Follow(_turns.OnTime(Now, agentSpeaks: false));
                break;
            case TurnSignal.EndOfTurn:
                if (HasOtherThanAnAnswer(_turns.Text))
                {
                    break;
                }

                var (lastSound, began) = (_turns.LastSound ?? Now, _turns.TurnSince ?? Now);
                var text = _turns.TakeTurn();
                CutReply();
                _timings.TurnDecided(_transcript.Turn + 1, lastSound, Now);
                Answer(text, began);
                break;
            case TurnSignal.Unheard:
                _reporter.Note("provider.failed", "The recogniser did not say what the caller said.");
                if (_reply is null)
                {
                    Start(Reply.Fixed("Sorry, I did not catch that. Could you say it again?"));
                }

                break;
        }
    }

    /// <summary>Whether what the caller said ends the call or asks to wait, rather than for an answer; then that is done.</summary>
    private bool HasOtherThanAnAnswer(string text)
    {
        if (Cues.HasAny(text, _plan.Assistant.EndCallPhrases))
        {
            KeepTurn();
            SayGoodbye("Goodbye.", EndReasons.AssistantEnded);
            return true;
        }

        var isQueue = Cues.IsQueue(text);
        if (_plan.Phone is null || !(isQueue || Cues.AsksToWait(text)))
        {
            return false;
        }

        KeepTurn();
        _patientUntil = Now + WaitPatience;
        _reporter.Note("call.waiting", isQueue ? "A queue's announcement." : "The caller asked to wait.");
        if (!isQueue)
        {
            Start(Reply.Fixed("Of course, I will wait."));
        }

        return true;
    }

    /// <summary>An answering machine took the call. Answers why the conversation is over, if it is.</summary>
    private string? MeetMachine(string text)
    {
        _ = _turns.OnFinal(text, Now, agentSpeaks: false);
        KeepTurn();
        CutReply();
        Discard();
        _reporter.Note("voicemail.detected", "An answering machine took the call.");
        if (_machine.Action is Contracts.Assistants.VoicemailAction.HangUp)
        {
            return EndReasons.Voicemail;
        }

        _machine.AwaitBeep(Now, _turns.CallerSpeaks);
        return null;
    }

    private void LeaveMessage() => SayGoodbye(_machine.Message, EndReasons.Voicemail);

    private void Answer(string text, DateTimeOffset since)
    {
        if (!_callerReady)
        {
            // Whoever speaks or writes is there, and is answered rather than greeted.
            Begin();
        }

        _transcript.CallerSaid(text, since, _turns.LastSound);
        var answer = _speculation is { } ready && ready.Text == text
            ? ready.TakeAsync(CancellationToken.None)
            : _cast.Mind.AnswerAsync(PromptFor(text, _transcript.Turn), CancellationToken.None);
        if (_speculation?.Text == text)
        {
            _speculation = null;
        }

        Discard();
        _transcript.Remember(text);
        Start(answer);
    }

    /// <summary>What the caller said stands in the transcript, and is not answered.</summary>
    private void KeepTurn()
    {
        var since = _turns.TurnSince ?? Now;
        _transcript.CallerSaid(_turns.TakeTurn(), since, _turns.LastSound);
    }

    private Prompt PromptFor(string text, int turn) => new(_plan.Assistant, _plan.Variables, [.. _transcript.History], text)
    {
        Cut = used => Count(used with { Turn = turn }),
    };

    /// <summary>Everything said so far is understood, and the turn is probably over: the answer may be begun.</summary>
    private void Speculate()
    {
        if (!_plan.Assistant.Turn.Preemptive || _plan.Tools.Count > 0 || _reply is not null || IsLeaving || !_turns.IsSettled || _turns.Text is not { Length: > 0 } text || _speculation?.Text == text)
        {
            return;
        }

        Discard();
        var turn = _transcript.Turn + 1;
        _speculation = new Speculation(_cast.Mind, PromptFor(text, turn), used =>
        {
            Count(used with { Turn = turn });
            if (used.Discarded)
            {
                _reporter.Note("speculation.discarded", $"{used.Component}: {used.Quantity} {used.Unit}s of {used.Provider}/{used.Model}, not charged.");
            }
        });
    }

    private void Discard()
    {
        if (_speculation is { } speculation)
        {
            _speculation = null;
            Own(speculation.DiscardAsync());
        }
    }

    /// <summary>What comes to an end elsewhere, and is awaited when the conversation is over.</summary>
    private void Own(Task ending)
    {
        _ending.RemoveAll(t => t.IsCompleted);
        _ending.Add(ending);
    }

    private string? RecogniserFailed(ProviderException error)
    {
        _reporter.Note("provider.failed", error.Message);
        Follow(_turns.OnFinal("", Now, AgentSpeaks));
        if (_endAfterReply is not null)
        {
            return null;
        }

        if (!error.Retryable)
        {
            return Apologise(EndReasons.AgentFailed);
        }

        // The caller said something and nobody will answer it.
        return _reply is null && _turns.Text.Length == 0 ? Apologise(null) : null;
    }

    private void Start(IAsyncEnumerable<Generated> answer)
    {
        CutReply();
        _room.ShowState("thinking");
        _isApology = false;
        _reply = new Reply(_transcript.Turn, answer, _cast.Voice, _line, _clock, this, _lineIsFree);
        _lineIsFree = _reply.LineIsFree;
    }

    private void CutReply()
    {
        if (Cut() is { TransferTo: { } to } && _endAfterReply is null)
        {
            BeginTransfer(to);
        }
    }

    private Reply? Cut()
    {
        if (_reply is not { } reply)
        {
            return null;
        }

        var heard = reply.Cut();
        _cutReplies.Add(reply);
        _reply = null;
        _turns.OnReplyOver();
        Close(reply, heard, interrupted: true);
        _room.ShowState("listening");
        return reply;
    }

    private string? ReplyEnded(Reply reply, Exception? error)
    {
        if (_cutReplies.Remove(reply))
        {
            Own(reply.DisposeAsync().AsTask());
        }

        if (reply != _reply)
        {
            return null;
        }

        Touch();
        _reply = null;
        _turns.OnReplyOver();
        Close(reply, reply.Heard, interrupted: error is not null);
        Own(reply.DisposeAsync().AsTask());
        if (error is not null)
        {
            _reporter.Note("reply.failed", error is ProviderException p ? p.Message : error.GetType().Name);
            return Apologise(null);
        }

        // An apology that was heard is no answer.
        _failures = _isApology ? _failures : 0;
        if (_endAfterReply is null && reply.TransferTo is { } to)
        {
            _room.ShowState("listening");
            BeginTransfer(to);
            return null;
        }

        if (_endAfterReply is not null || reply.EndsConversation)
        {
            return _endAfterReply ?? EndReasons.AssistantEnded;
        }

        _room.ShowState("listening");
        Follow(_turns.OnTime(Now, agentSpeaks: false));
        return null;
    }

    private void BeginTransfer(string to)
    {
        if (_transferringTo is null)
        {
            _transferringTo = to;
            Own(TransferAsync());
        }

        async Task TransferAsync()
        {
            await Task.Yield();
            var failure = await _room.TransferAsync(to);
            await PostAsync(new ConversationEvent.Transferred(to, failure), CancellationToken.None);
        }
    }

    private void Close(Reply reply, string heard, bool interrupted)
    {
        if (_timings.Of(reply, interrupted) is { } timing)
        {
            _reporter.Turn(timing);
        }

        _transcript.AssistantEnds(heard, interrupted);
    }

    /// <summary>Silence is never the outcome of a failure: the caller is told. A second failure in a row ends the conversation.</summary>
    private string? Apologise(string? endReason)
    {
        if (_endAfterReply is not null || ++_failures > 2)
        {
            return _endAfterReply ?? endReason ?? EndReasons.AgentFailed;
        }

        if (endReason is not null || _failures == 2)
        {
            SayGoodbye(SomethingIsWrong, endReason ?? EndReasons.AgentFailed);
        }
        else
        {
            Start(Reply.Fixed("I am sorry, something went wrong. Could you say that again?"));
            _isApology = true;
        }

        return null;
    }

    /// <summary>The first goodbye is the one that is said.</summary>
    private void SayGoodbye(string text, string reason)
    {
        if (_endAfterReply is null)
        {
            _endAfterReply = reason;
            _machine.StopWaiting();
            Start(Reply.Fixed(text));
        }
    }

    private string? OnTime()
    {
        if (!_callerReady)
        {
            return Now - _createdAt >= LongestWaitForCaller ? EndReasons.NeverStarted : null;
        }

        if (_leaveBy <= Now)
        {
            return _leaveReason;
        }

        if (_endAfterReply is null && Now - _startedAt >= _plan.MaxDuration)
        {
            SayGoodbye("We have reached the end of our time. Goodbye.", EndReasons.MaxDuration);
            return null;
        }

        if (_endAfterReply is null && Now >= CoverEndsAt)
        {
            // Whoever keeps the books does not answer: what is not known to be paid for is not talked through.
            _reporter.Note("credits.unknown", "Nobody could say whether the credits cover more, so the conversation ended within what was held.");
            SayGoodbye(SomethingIsWrong, EndReasons.AgentFailed);
            return null;
        }

        if (_machine.DueAt <= Now)
        {
            LeaveMessage();
            return null;
        }

        if (_keypad.DueAt <= Now && _endAfterReply is null)
        {
            Answer(_keypad.Take(), Now);
            return null;
        }

        if (IdleAt() is { } idle && idle <= Now)
        {
            Touch();
            if (_reprompts++ >= _plan.Assistant.Limits.IdleMaxReprompts)
            {
                SayGoodbye("I cannot hear you, so I will end our conversation. Goodbye.", EndReasons.Idle);
            }
            else
            {
                Start(Reply.Fixed("Are you still there?"));
            }

            return null;
        }

        Follow(_turns.OnTime(Now, AgentSpeaks));
        return null;
    }

    private DateTimeOffset? IdleAt() =>
        _plan.Assistant.Limits.IdleRepromptS > 0 && _reply is null && !_turns.CallerSpeaks && _turns.Text.Length == 0 && !_isOnHold && !_machine.IsWaiting && _transferringTo is null
            ? Later(_lastActivity + TimeSpan.FromSeconds(_plan.Assistant.Limits.IdleRepromptS), _patientUntil)
            : null;

    private static DateTimeOffset Later(DateTimeOffset one, DateTimeOffset other) => one > other ? one : other;

    private static DateTimeOffset Earlier(DateTimeOffset one, DateTimeOffset other) => one < other ? one : other;

    /// <summary>When a goodbye must begin to be over before what is paid for is.</summary>
    private DateTimeOffset CoverEndsAt => _coveredUntil == DateTimeOffset.MaxValue ? _coveredUntil : _coveredUntil - ConversationTimes.Goodbye;

    private DateTimeOffset? WakeAt()
    {
        if (!_callerReady)
        {
            return _createdAt + LongestWaitForCaller;
        }

        DateTimeOffset? at = _endAfterReply is null ? Earlier(_startedAt + _plan.MaxDuration, CoverEndsAt) : null;
        foreach (var other in (ReadOnlySpan<DateTimeOffset?>)[_leaveBy, IdleAt(), _turns.WakeAt(AgentSpeaks), _machine.DueAt, _endAfterReply is null ? _keypad.DueAt : null])
        {
            at = at is null || other < at ? other ?? at : at;
        }

        return at;
    }

    private TimeSpan DueIn(DateTimeOffset? at) =>
        at is null ? Timeout.InfiniteTimeSpan : at <= Now ? TimeSpan.Zero : TimeSpan.FromMilliseconds(Math.Ceiling((at.Value - Now).TotalMilliseconds));

    private DateTimeOffset Touch() => _lastActivity = Now;
}
