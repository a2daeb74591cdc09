using System.Text.RegularExpressions;
using VoicePlatform.Host.OpenApi;

namespace VoicePlatform.Tests.Architecture;

/// <summary>docs/errors.md, which is also what the OpenAPI documents say, lists the codes that the sources can answer, and no others.</summary>
internal sealed partial class ErrorCodeTests
{
    private static readonly IReadOnlyList<(string Code, string Where)> InSources =
        (from file in SourceTree.Files("src").Where(f => !f.Path.StartsWith("src/MediaServer", StringComparison.Ordinal) && !f.Path.StartsWith("src/LiveKit", StringComparison.Ordinal))
         from Match made in Made().Matches(file.Code)
         select (made.Groups["code"].Value, file.Path)).ToList();

    [Test]
    public void Every_code_is_listed()
    {
        var listed = Listed();
        SourceTree.AssertNone(InSources.Count, InSources.Where(c => !listed.Contains(c.Code)).Select(c => $"{c.Code} ({c.Where})"), "docs/errors.md lacks these codes:");
    }

    [Test]
    public void Every_listed_code_can_be_answered()
    {
        var made = InSources.Select(c => c.Code).ToHashSet();
        var listed = Listed();
        SourceTree.AssertNone(listed.Count, listed.Where(c => !made.Contains(c) && !SourceTree.Files("src").Any(f => f.Code.Contains($"\"{c}\"", StringComparison.Ordinal))), "docs/errors.md lists what nobody answers:");
    }

    [Test]
    public void The_documents_read_the_same_table()
    {
        Assert.That(ErrorCatalogue.Errors.Select(e => e.Code), Is.Unique.And.SubsetOf(Listed()));
        Assert.That(ErrorCatalogue.Errors, Has.Count.GreaterThan(40));
        foreach (var error in ErrorCatalogue.Errors)
        {
            Assert.That(error.Status, Is.InRange(400, 503), error.Code);
            Assert.That(error.Meaning, Has.Length.GreaterThan(10), error.Code);
        }
    }

    private static HashSet<string> Listed() => Row().Matches(File.ReadAllText(Path.Combine(SourceTree.Root, "docs", "errors.md")))
        .SelectMany(row => Code().Matches(row.Groups["codes"].Value)).Select(code => code.Groups["code"].Value).ToHashSet();

    [GeneratedRegex("""ErrorKind\.\w+,\s*(\w[^"\n]*\? )?"(?<code>[a-z_.]+)""" + "\"", RegexOptions.ExplicitCapture)]
    private static partial Regex Made();

    [GeneratedRegex(@"^\| (?<codes>(`[a-z_.]+`(, )?)+) \|", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex Row();

    [GeneratedRegex("`(?<code>[a-z_.]+)`", RegexOptions.ExplicitCapture)]
    private static partial Regex Code();
}
