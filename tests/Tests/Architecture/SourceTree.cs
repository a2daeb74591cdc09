using System.Reflection;
using System.Text.RegularExpressions;

namespace VoicePlatform.Tests.Architecture;

/// <summary>The sources of this repository and the assemblies built from them, as the rules about them need to see both.</summary>
internal static partial class SourceTree
{
    public static string Root { get; } = FindRoot();

    /// <summary>A module is a project under src/Modules other than Contracts; a new one is found here without being told.</summary>
    public static IReadOnlyList<ModuleSource> Modules { get; } = Directory.GetDirectories(Path.Combine(Root, "src", "Modules"))
        .Where(folder => Path.GetFileName(folder) != "Contracts")
        .Select(folder => Directory.GetFiles(folder, "*.csproj"))
        .Where(projects => projects.Length > 0)
        .Select(projects => new ModuleSource(Path.GetFileName(Path.GetDirectoryName(projects[0])!), Path.GetFileNameWithoutExtension(projects[0])))
        .OrderBy(m => m.Name, StringComparer.Ordinal)
        .ToList();

    public static Assembly Contracts { get; } = Assembly.Load("VoicePlatform.Contracts");

    /// <param name="folder">From the repository's root.</param>
    public static IReadOnlyList<SourceFile> Files(string folder, string pattern = "*.cs")
    {
        var path = Path.Combine(Root, folder);
        return !Directory.Exists(path) ? [] : Directory.EnumerateFiles(path, pattern, SearchOption.AllDirectories)
            .Where(f => !f.Contains("/node_modules/", StringComparison.Ordinal) && !f.Contains("/obj/", StringComparison.Ordinal) && !f.Contains("/bin/", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal)
            .Select(f => new SourceFile(Path.GetRelativePath(Root, f), File.ReadAllText(f)))
            .ToList();
    }

    /// <summary>All offenders at once: who repairs one wants to know the others. Nothing checked means that the rule has gone blind.</summary>
    public static void AssertNone(int seen, IEnumerable<string> offenders, string rule)
    {
        Assert.That(seen, Is.GreaterThan(0), $"Found nothing to check for: {rule}");
        var found = offenders.Distinct().ToList();
        Assert.That(found, Is.Empty, $"{rule}\n  {string.Join("\n  ", found)}\n");
    }

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "VoicePlatform.sln")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? throw new InvalidOperationException("The tests do not run from inside the repository.");
    }

    [GeneratedRegex("""^\s*(///?|\*|/\*).*$|\s//\s.*$""", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    internal static partial Regex Comment { get; }
}

/// <param name="Name">The folder ("Session").</param>
/// <param name="Project">The project and its namespace ("VoicePlatform.Sessions").</param>
internal sealed record ModuleSource(string Name, string Project)
{
    public string Folder => $"src/Modules/{Name}";

    /// <summary>The last word of the namespace, which Contracts uses for this module's folder too.</summary>
    public string Plural => Project["VoicePlatform.".Length..];

    public Assembly Assembly => Assembly.Load(Project);

    public override string ToString() => Name;
}

/// <param name="Path">From the repository's root.</param>
internal sealed record SourceFile(string Path, string Text)
{
    public string Name => System.IO.Path.GetFileNameWithoutExtension(Path);

    /// <summary>Without comments.</summary>
    public string Code => SourceTree.Comment.Replace(Text, "");
}
