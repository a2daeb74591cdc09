using System.Text;

namespace VoicePlatform.Agent.Turns;

/// <summary>What telephone callers' words tell beyond their meaning. Pure.</summary>
internal static class Cues
{
    // As recognisers write them; local ones split compounds and miss endings.
    private static readonly string[] Machine =
    [
        "leave a message", "leave your message", "leave me a message", "leave us a message", "leave your name", "leave a brief message", "leave a short message",
        "after the tone", "after the beep", "at the tone", "at the beep", "sound of the tone", "hear the tone", "hear the beep",
        "voicemail", "voice mail", "mailbox", "mail box", "answering machine", "record your message", "record a message",
        "not available to take your call", "unable to take your call", "cannot take your call", "can't take your call",
        "cannot come to the phone", "can't come to the phone", "unable to come to the phone", "is not available right now", "will call you back as soon as",
    ];

    private static readonly string[] Hold =
    [
        "please hold", "hold on", "hold the line", "hang on", "one moment", "one second", "one minute", "just a moment", "just a second", "just a minute",
        "bear with me", "let me check", "let me see if", "stay on the line", "give me a moment", "give me a second", "i will put you through",
        "i'll put you through", "put you on hold",
    ];

    // What a queue plays: nobody is there to be answered.
    private static readonly string[] Queue =
    [
        "your call is important", "calls are important", "all of our agents", "all our agents", "all agents are busy", "will be with you shortly",
        "remain on the line", "please stay on the line", "your call will be answered", "next available", "thank you for holding", "thank you for waiting",
    ];

    /// <summary>An answering machine's greeting.</summary>
    public static bool IsMachine(string text) => HasAny(text, Machine);

    /// <summary>The caller asks to wait.</summary>
    public static bool AsksToWait(string text) => text.Length <= 120 && HasAny(text, Hold);

    /// <summary>A queue's announcement.</summary>
    public static bool IsQueue(string text) => HasAny(text, Queue);

    /// <summary>Whether one of the phrases is said, as whole words; case and punctuation do not matter.</summary>
    public static bool HasAny(string text, IEnumerable<string> phrases)
    {
        var words = Words(text);
        return phrases.Any(phrase => Words(phrase) is { Length: > 2 } p && words.Contains(p, StringComparison.Ordinal));
    }

    // " so and so ": a phrase matches at word boundaries only.
    private static string Words(string text)
    {
        var words = new StringBuilder(text.Length + 2).Append(' ');
        foreach (var c in text)
        {
            if (char.IsLetterOrDigit(c) || c == '\'')
            {
                words.Append(char.ToLowerInvariant(c));
            }
            else if (words[^1] != ' ')
            {
                words.Append(' ');
            }
        }

        return words[^1] == ' ' ? words.ToString() : words.Append(' ').ToString();
    }
}
