using System.Text;

namespace VoicePlatform.Agent.Language;

/// <summary>Cuts a stream of text into sentences as soon as each is complete, so that the first can be spoken while the rest is written.</summary>
internal sealed class SentenceSplitter
{
    // Shorter pieces are joined to the next: a voice needs a few words to sound right.
    private const int ShortestSentence = 12;

    // A "sentence" without an end is cut at a comma or space: nobody waits for the rest of a list.
    private const int LongestSentence = 240;

    private static readonly string[] Abbreviations = ["mr.", "mrs.", "ms.", "dr.", "st.", "e.g.", "i.e.", "etc.", "vs.", "no."];

    private readonly StringBuilder _rest = new();

    public IEnumerable<string> Push(string piece)
    {
        _rest.Append(piece);
        while (Cut() is { } sentence)
        {
            yield return sentence;
        }
    }

    /// <summary>What is left at the end; null when nothing is.</summary>
    public string? Flush()
    {
        var text = _rest.ToString().Trim();
        _rest.Clear();
        return text.Length == 0 ? null : text;
    }

    private string? Cut()
    {
        for (var i = 0; i < _rest.Length; i++)
        {
            if (_rest[i] == '\n' || (IsEnd(_rest[i]) && i + 1 < _rest.Length && char.IsWhiteSpace(_rest[i + 1]) && !EndsInAbbreviation(i)))
            {
                if (i + 1 >= ShortestSentence || _rest[i] == '\n')
                {
                    return Take(i + 1);
                }
            }
        }

        if (_rest.Length <= LongestSentence)
        {
            return null;
        }

        var at = _rest.ToString(0, LongestSentence).LastIndexOfAny([',', ';', ':']);
        return Take(at > ShortestSentence ? at + 1 : Math.Max(_rest.ToString(0, LongestSentence).LastIndexOf(' '), ShortestSentence) + 1);
    }

    private static bool IsEnd(char c) => c is '.' or '!' or '?' or '…' or '。' or '！' or '？';

    private bool EndsInAbbreviation(int end)
    {
        var start = end;
        while (start > 0 && !char.IsWhiteSpace(_rest[start - 1]))
        {
            start--;
        }

        return Abbreviations.Contains(_rest.ToString(start, end - start + 1).ToLowerInvariant());
    }

    private string? Take(int length)
    {
        var sentence = _rest.ToString(0, length).Trim();
        _rest.Remove(0, length);
        return sentence.Length == 0 ? Cut() : sentence;
    }
}
