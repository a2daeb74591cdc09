using VoicePlatform.Agent.Language;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Agent.Pipeline;

/// <summary>
/// What was said: told to Session line by line, shown in the room, and remembered for the model. Of the assistant's words only what
/// was heard is kept.
/// </summary>
internal sealed class Transcript(Reporter reporter, IRoomVoice room, TimeProvider clock)
{
    private readonly List<Said> _history = [];
    private SpokenLine? _spoken;
    private int _seq;

    /// <summary>The caller's turns so far.</summary>
    public int Turn { get; private set; }

    /// <summary>For the model, oldest first; the caller's turns only once they are answered.</summary>
    public IReadOnlyList<Said> History => _history;

    private DateTimeOffset Now => clock.GetUtcNow();

    /// <summary>What the caller seems to be saying.</summary>
    public void CallerIsSaying(string text) => room.ShowText(ofCaller: true, $"caller-{Turn + 1}", text, final: false);

    /// <summary>A turn of the caller.</summary>
    public void CallerSaid(string text, DateTimeOffset since, DateTimeOffset? lastSound)
    {
        Turn++;
        reporter.Line(new(++_seq, Turn, Speaker.User, text, since, lastSound > since ? lastSound.Value : Now, Interrupted: false));
        room.ShowText(ofCaller: true, $"caller-{Turn}", text, final: true);
    }

    /// <summary>The caller's last turn is answered: from now on the model is reminded of it.</summary>
    public void Remember(string text) => _history.Add(new(Speaker.User, text));

    /// <summary>
    /// A sentence of the assistant begins to be heard: kept at once, so that a crash loses nothing of it. It counts as interrupted until
    /// it is known to have been heard to its end.
    /// </summary>
    public void AssistantBegins(string sentence)
    {
        if (_spoken is null)
        {
            room.ShowState("speaking");
            _spoken = new(++_seq, Turn, Speaker.Agent, sentence, Now, Now, Interrupted: true);
        }
        else
        {
            _spoken = _spoken with { Text = _spoken.Text + " " + sentence, EndedAt = Now };
        }

        reporter.Line(_spoken);
        room.ShowText(ofCaller: false, $"agent-{_spoken.Seq}", _spoken.Text, final: false);
    }

    /// <summary>The assistant's line is over; nothing when it had not begun.</summary>
    /// <param name="heard">How much of it was heard, if it was interrupted.</param>
    /// <param name="interrupted">Not heard to its end.</param>
    public void AssistantEnds(string heard, bool interrupted)
    {
        if (_spoken is not { } spoken)
        {
            return;
        }

        spoken = spoken with { Text = interrupted ? heard : spoken.Text, EndedAt = Now, Interrupted = interrupted };
        reporter.Line(spoken);
        room.ShowText(ofCaller: false, $"agent-{spoken.Seq}", spoken.Text, final: true);
        if (spoken.Text.Length > 0)
        {
            _history.Add(new(Speaker.Agent, spoken.Text));
        }

        _spoken = null;
    }
}
