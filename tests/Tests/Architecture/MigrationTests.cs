using System.Text.RegularExpressions;
using VoicePlatform.Host;

namespace VoicePlatform.Tests.Architecture;

internal sealed partial class MigrationTests
{
    [Test]
    public void Every_migration_is_named_and_numbered_and_of_a_known_module()
    {
        var files = SourceTree.Files("db", "*").Select(f => f.Path.Split('/')).ToList();
        SourceTree.AssertNone(
            files.Count,
            files.Where(f => f.Length != 3 || !FileName.IsMatch(f[^1])).Select(f => $"{string.Join('/', f)} is not db/<module>/NNNN_what.sql")
                .Concat(files.Select(f => f[1]).Where(module => !Migrations.Modules.Contains(module)).Select(module => $"db/{module} is not in Migrations.Modules and would never be applied"))
                .Concat(from same in files.Where(f => f.Length == 3 && FileName.IsMatch(f[2])).GroupBy(f => $"{f[1]}/{f[2][..4]}")
                        where same.Count() > 1
                        select $"db/{same.Key} is the number of {string.Join(" and ", same.Select(f => f[2]))}"),
            "Migrations are forward only, in the order of their numbers, each number once in its module:");
    }

    [Test]
    public void Every_module_that_migrates_has_migrations() =>
        SourceTree.AssertNone(
            Migrations.Modules.Count,
            Migrations.Modules.Where(m => SourceTree.Files($"db/{m}", "*.sql").Count == 0),
            "Migrations.Modules names folders that are not there:");

    [GeneratedRegex(@"^\d{4}_[a-z0-9_]+\.sql$")]
    private static partial Regex FileName { get; }
}
