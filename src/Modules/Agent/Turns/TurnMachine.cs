using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Agent.Turns;

/// <summary>What the loop is to do now.</summary>
internal enum TurnSignal
{
    None,

    /// <summary>The caller has finished: answer what was said.</summary>
    EndOfTurn,

    /// <summary>The caller may be interrupting: fall silent, and decide when it is known whether words were said.</summary>
    Hush,

    /// <summary>The caller has interrupted: the reply is over.</summary>
    BargeIn,

    /// <summary>It was no interruption: go on speaking where it stopped.</summary>
    GoOn,

    /// <summary>The caller spoke, and the recogniser did not say what: ask again.</summary>
    Unheard,
}

/// <summary>
/// Decides who speaks. Pure: no clock, no timer, no task. Three questions, apart: has the caller finished; may this sound stop the
/// assistant; was that a mistake.
/// <code>
/// caller   ___████████████____________
///             ^Started    ^Stopped (after 300 ms of silence; 'lastSound' is where the speech ended)
/// words                      ^Final
/// turn                            ^EndOfTurn at lastSound + endpointing, but not before the words are known
/// </code>
/// </summary>
internal sealed class TurnMachine(TurnSettings turn, InterruptionSettings interruption)
{
    /// <summary>How long a recogniser is waited for after the caller fell silent.</summary>
    private static readonly TimeSpan LongestRecognition = TimeSpan.FromSeconds(8);

    // "I would like a table for": the caller is looking for the next word.
    private static readonly HashSet<string> Unfinished =
    [
        "and", "or", "but", "because", "if", "which", "the", "a", "an", "my", "your", "to", "for", "of", "with", "from", "at", "in", "on",
        "is", "are", "was", "um", "uh", "like", "than", "as", "by",
    ];

    // Machines beep for up to a second; a longer sound has words before the tone.
    private static readonly TimeSpan LongestTone = TimeSpan.FromSeconds(1.5);

    // Said to show that one listens, not to take the turn.
    private static readonly HashSet<string> Backchannels = ["yeah", "yes", "yep", "okay", "ok", "right", "sure", "mhm", "hmm", "aha", "uh-huh", "i see", "all right", "uh huh", "huh"];

    private readonly List<string> _finals = [];
    private DateTimeOffset? _speakingSince;
    private DateTimeOffset? _lastSound;
    private DateTimeOffset? _hushedAt;
    private DateTimeOffset? _turnSince;
    private bool _ignored;              // This stretch of sound was judged before: it does not stop the assistant again.
    private int _unrecognised;
    private int _untilTone;             // So many answers of the recogniser to come, and the last of them is about a tone; 0: none is.

    public bool CallerSpeaks => _speakingSince is not null;

    public bool IsHushed => _hushedAt is not null;

    /// <summary>The caller's last sound so far, for measuring.</summary>
    public DateTimeOffset? LastSound => _lastSound;

    /// <summary>When the caller began to say what was said in this turn.</summary>
    public DateTimeOffset? TurnSince => _turnSince;

    /// <summary>Everything the caller said so far has been recognised, and the caller is silent.</summary>
    public bool IsSettled => !CallerSpeaks && _unrecognised == 0;

    /// <summary>What was said in this turn so far.</summary>
    public string Text => string.Join(' ', _finals);

    /// <summary>When <see cref="OnTime"/> has something to decide; null when nothing is pending.</summary>
    public DateTimeOffset? WakeAt(bool agentSpeaks) => Earliest(EndAt(agentSpeaks), HushAt(agentSpeaks), DecideAt());

    public TurnSignal OnStarted(DateTimeOffset at)
    {
        _speakingSince = at;
        if (_finals.Count == 0)
        {
            _turnSince = at;
        }

        _ignored = false;
        _unrecognised++;
        return TurnSignal.None;
    }

    /// <summary>The caller speaks on, and the recogniser was given a new segment: one more answer of it to wait for.</summary>
    public void OnContinued() => _unrecognised++;

    /// <param name="lastSound">When the caller's last sound was; earlier than now by the detector's patience.</param>
    public TurnSignal OnStopped(DateTimeOffset lastSound)
    {
        (_speakingSince, _lastSound) = (null, lastSound);
        return TurnSignal.None;
    }

    /// <summary>The sound that is there now is a machine's tone: what the recogniser takes it for are no words.</summary>
    public void OnTone(DateTimeOffset now)
    {
        if (_speakingSince is { } since && now - since < LongestTone)
        {
            _untilTone = _unrecognised;
        }
    }

    public TurnSignal OnPartial(string text, bool agentSpeaks) => agentSpeaks || IsHushed ? Interrupts(Joined(text)) : TurnSignal.None;

    public TurnSignal OnFinal(string text, DateTimeOffset now, bool agentSpeaks)
    {
        _unrecognised = Math.Max(0, _unrecognised - 1);
        var isTone = _untilTone > 0 && --_untilTone == 0;
        if (!isTone && !string.IsNullOrWhiteSpace(text))
        {
            _finals.Add(text.Trim());
        }

        if (agentSpeaks || IsHushed)
        {
            var signal = Interrupts(Text);
            if (signal is TurnSignal.BargeIn)
            {
                return signal;
            }

            if (agentSpeaks && !CallerSpeaks && _unrecognised == 0 && !IsHushed)
            {
                // Listening noises while the assistant goes on speaking are nobody's turn.
                _finals.Clear();
            }
        }

        return OnTime(now, agentSpeaks);
    }

    public TurnSignal OnTime(DateTimeOffset now, bool agentSpeaks)
    {
        if (HushAt(agentSpeaks) <= now)
        {
            _hushedAt = now;
            return TurnSignal.Hush;
        }

        if (DecideAt() <= now)
        {
            _hushedAt = null;
            _ignored = true;
            _unrecognised = 0;
            _finals.Clear();
            return interruption.Resume ? TurnSignal.GoOn : TurnSignal.BargeIn;
        }

        if (EndAt(agentSpeaks) <= now)
        {
            if (_finals.Count > 0)
            {
                return TurnSignal.EndOfTurn;
            }

            _unrecognised = 0;
            return TurnSignal.Unheard;
        }

        return TurnSignal.None;
    }

    /// <summary>The reply that was in question is over by other means.</summary>
    public void OnReplyOver() => _hushedAt = null;

    /// <summary>The turn's text; the next turn begins.</summary>
    public string TakeTurn()
    {
        var text = Text;
        _finals.Clear();
        (_hushedAt, _turnSince) = (null, _speakingSince);
        if (!CallerSpeaks)
        {
            _unrecognised = 0;
        }

        return text;
    }

    private DateTimeOffset? EndAt(bool agentSpeaks)
    {
        // While the assistant speaks only an interruption gives the caller the turn.
        if (agentSpeaks || CallerSpeaks || IsHushed || _lastSound is not { } lastSound)
        {
            return null;
        }

        if (_unrecognised > 0)
        {
            return lastSound + LongestRecognition;
        }

        return _finals.Count == 0 ? null
            : lastSound + TimeSpan.FromSeconds(LooksUnfinished(Text) ? turn.MaxEndpointingS : Math.Min(turn.MinEndpointingS, turn.MaxEndpointingS));
    }

    private DateTimeOffset? HushAt(bool agentSpeaks) =>
        interruption.Enabled && agentSpeaks && !IsHushed && !_ignored && _speakingSince is { } since ? since + TimeSpan.FromSeconds(interruption.MinDurationS) : null;

    /// <summary>
    /// A pause that brought no words ends: the timeout counts from the caller's silence. A sound that goes on for ever, and a recogniser
    /// that does not answer, do not keep the assistant silent for ever.
    /// </summary>
    private DateTimeOffset? DecideAt()
    {
        if (_hushedAt is not { } hushed)
        {
            return null;
        }

        var silentSince = _lastSound > hushed ? _lastSound.Value : hushed;
        return CallerSpeaks ? hushed + LongestRecognition
            : _unrecognised > 0 ? silentSince + LongestRecognition
            : silentSince + TimeSpan.FromSeconds(_finals.Count > 0 ? 0 : interruption.FalseInterruptionTimeoutS);
    }

    private TurnSignal Interrupts(string text)
    {
        if (!interruption.Enabled || IsBackchannel(text))
        {
            return TurnSignal.None;
        }

        var words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Length;
        if (words < Math.Max(1, interruption.MinWords) || !(IsHushed || _ignored))
        {
            return TurnSignal.None;
        }

        (_hushedAt, _ignored) = (null, false);
        return TurnSignal.BargeIn;
    }

    private string Joined(string partial) => _finals.Count == 0 ? partial : Text + " " + partial;

    private static bool LooksUnfinished(string text)
    {
        var last = text.AsSpan().TrimEnd();
        if (last.Length > 0 && last[^1] is '.' or '!' or '?')
        {
            return false;
        }

        var word = last[(last.LastIndexOf(' ') + 1)..].ToString().ToLowerInvariant();
        return Unfinished.Contains(word) || (last.Length > 0 && last[^1] is ',' or '-' or '…');
    }

    private static bool IsBackchannel(string text) => Backchannels.Contains(text.Trim().TrimEnd('.', '!', ',').ToLowerInvariant());

    private static DateTimeOffset? Earliest(params ReadOnlySpan<DateTimeOffset?> times)
    {
        DateTimeOffset? earliest = null;
        foreach (var time in times)
        {
            if (time is not null && (earliest is null || time < earliest))
            {
                earliest = time;
            }
        }

        return earliest;
    }
}
