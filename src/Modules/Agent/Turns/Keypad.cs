using System.Text;

namespace VoicePlatform.Agent.Turns;

/// <summary>Keys pressed one after the other are one answer: until '#', or a pause. Pure.</summary>
internal sealed class Keypad
{
    private const int MostDigits = 64;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1.5);

    private readonly StringBuilder _pressed = new();
    private DateTimeOffset _lastAt;

    /// <summary>When what was pressed is complete; null when nothing was.</summary>
    public DateTimeOffset? DueAt => _pressed.Length == 0 ? null : _lastAt + Pause;

    /// <summary>Answers the whole when this key completes it.</summary>
    public string? Press(char key, DateTimeOffset now)
    {
        _lastAt = now;
        if (key == '#' && _pressed.Length > 0)
        {
            return Take();
        }

        _pressed.Append(key);
        return key == '#' || _pressed.Length == MostDigits ? Take() : null;
    }

    public string Take()
    {
        var all = _pressed.ToString();
        _pressed.Clear();
        return all;
    }
}
