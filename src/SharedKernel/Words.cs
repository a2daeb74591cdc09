using System.Text.Json;

namespace VoicePlatform.SharedKernel;

/// <summary>The words of an enum in a query, spelled as in every JSON: ?status=in_progress. No other spelling is known, and no number.</summary>
public static class Words
{
    public static IReadOnlyList<string> Of<T>()
        where T : struct, Enum => [.. Enum.GetValues<T>().Select(v => JsonNamingPolicy.SnakeCaseLower.ConvertName(v.ToString()))];

    /// <summary>Why a word is refused (<c>unknown</c>, naming <paramref name="field"/>); null for one of the enum's, or none at all.</summary>
    public static Error? Refusal<T>(string field, string? word)
        where T : struct, Enum =>
        word is null || Of<T>().Contains(word) ? null : Error.Field(field, "unknown", $"'{field}' must be one of {string.Join(", ", Of<T>())}.");

    /// <summary>The value of a word that was not refused.</summary>
    public static T? Read<T>(string? word)
        where T : struct, Enum => word is null ? null : Enum.Parse<T>(word.Replace("_", "", StringComparison.Ordinal), ignoreCase: true);
}

/// <summary>Tells the OpenAPI document which words a query parameter takes.</summary>
[AttributeUsage(AttributeTargets.Parameter)]
public abstract class WordsAttribute(IReadOnlyList<string> words) : Attribute
{
    public IReadOnlyList<string> Words => words;
}

/// <inheritdoc/>
public sealed class WordsAttribute<T>() : WordsAttribute(SharedKernel.Words.Of<T>())
    where T : struct, Enum;
