using System.Text.RegularExpressions;

namespace VoicePlatform.Tests.Architecture;

internal sealed partial class NamingTests
{
    /// <summary>Words of a protocol, which has the right to them.</summary>
    private static readonly Dictionary<string, string> OfAProtocol = new()
    {
        ["TwirpService"] = "what Twirp calls it",
        ["ReceiveInfo"] = "sctp_rcvinfo",
    };

    [Test]
    public void No_type_is_named_by_a_word_that_says_nothing()
    {
        var declared = (from folder in new[] { "src", "eng", "bench", "tests" }
                        from file in SourceTree.Files(folder)
                        from Match type in Declaration.Matches(file.Code)
                        select (file.Path, Line: type.Value, Name: type.Groups["name"].Value)).ToList();
        SourceTree.AssertNone(
            declared.Count,
            from type in declared
            where Empty.IsMatch(type.Name) && !OfAProtocol.ContainsKey(type.Name) && !(type.Name.EndsWith("Service", StringComparison.Ordinal) && Hosted.IsMatch(type.Line))
            select $"{type.Name} in {type.Path}",
            "If a name needs such a word, the idea is not found yet:");
    }

    [TestCase("src/Modules/Agent/Audio")]
    [TestCase("src/Modules/Agent/Turns")]
    public void Pure_parts_of_the_agent_neither_wait_nor_log(string folder)
    {
        var files = SourceTree.Files(folder);
        SourceTree.AssertNone(
            files.Count,
            from file in files
            from Match word in Impure.Matches(file.Code)
            select $"{file.Path} mentions {word.Value}",
            "What runs on every frame is plain computation:");
    }

    [GeneratedRegex(@"^[ \t]*(?:(?:public|internal|private|protected|static|sealed|abstract|partial|readonly|ref|unsafe|file)\s+)*(?:class|record(?:\s+(?:class|struct))?|struct|interface|enum)\s+(?<name>[A-Z]\w*)[^{;]*", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex Declaration { get; }

    [GeneratedRegex("[a-z](Manager|Helper|Helpers|Util|Utils|Utilities|Common|Base|Impl|Info|Data|Processor|Service|Wrapper|Dto)$")]
    private static partial Regex Empty { get; }

    [GeneratedRegex(@":[^{]*\b(BackgroundService|IHostedService|IHostedLifecycleService)\b")]
    private static partial Regex Hosted { get; }

    [GeneratedRegex(@"\b(Task|ValueTask|async|await|ILogger)\b")]
    private static partial Regex Impure { get; }
}
