namespace VoicePlatform.Host.OpenApi;

/// <param name="Where">Tags and operation ids that can answer it, or one of the words "all", "key", "body", "query", "path", "post", "if-match".</param>
/// <param name="Meaning">For people, in a sentence.</param>
internal sealed record KnownError(string Code, int Status, IReadOnlyList<string> Where, string Meaning);

/// <summary>Every stable code, as docs/errors.md lists it: the same table serves people and the document.</summary>
internal static class ErrorCatalogue
{
    private const int Columns = 4;

    public static IReadOnlyList<KnownError> Errors { get; } = Read();

    private static List<KnownError> Read()
    {
        using var file = new StreamReader(typeof(ErrorCatalogue).Assembly.GetManifestResourceStream("errors.md")!);
        var errors = new List<KnownError>();
        while (file.ReadLine() is { } line)
        {
            // | `code`, `another` | 404 | where | meaning |
            var cells = line.Trim('|', ' ').Split('|', StringSplitOptions.TrimEntries);
            if (line.StartsWith("| `", StringComparison.Ordinal) && cells.Length == Columns && int.TryParse(cells[1], out var status))
            {
                errors.AddRange(cells[0].Split(", ").Select(code => new KnownError(code.Trim('`'), status, cells[2].Replace("`", "", StringComparison.Ordinal).Split(", "), cells[3])));
            }
        }

        return errors;
    }
}
