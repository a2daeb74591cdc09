using System.Text.RegularExpressions;

namespace VoicePlatform.SharedKernel;

/// <summary>{{name}} in what a tenant writes: prompts, greetings, addresses, headers, scripted answers.</summary>
public static partial class Template
{
    /// <summary>Puts values in, in one pass: what a value says is never read as a template.</summary>
    /// <param name="value">What stands for a name; null leaves the placeholder as it is.</param>
    public static string Fill(string text, Func<string, string?> value) => Placeholder().Replace(text, match => value(match.Groups["name"].Value) ?? match.Value);

    /// <summary>The names in a text, in their order; a name that is there twice comes twice.</summary>
    public static IEnumerable<string> NamesIn(string text) => Placeholder().Matches(text).Select(m => m.Groups["name"].Value);

    [GeneratedRegex(@"\{\{\s*(?<name>[A-Za-z_][A-Za-z0-9_.]{0,127})\s*\}\}", RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture)]
    private static partial Regex Placeholder();
}
