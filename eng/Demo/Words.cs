namespace VoicePlatform.Demo;

internal static class Words
{
    /// <summary>The share of the expected words that were heard: recognition of synthetic speech is good, not perfect.</summary>
    public static double Overlap(string heard, string expected)
    {
        var words = Of(expected);
        var known = Of(heard).ToHashSet();
        return words.Count(known.Contains) / (double)words.Length;
    }

    private static string[] Of(string text) =>
        new string([.. text.ToLowerInvariant().Where(c => char.IsLetter(c) || c == ' ')]).Split(' ', StringSplitOptions.RemoveEmptyEntries);
}
