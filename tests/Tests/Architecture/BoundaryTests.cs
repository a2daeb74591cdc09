using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace VoicePlatform.Tests.Architecture;

/// <summary>Who may know whom.</summary>
internal sealed partial class BoundaryTests
{
    /// <summary>What Host needs of a module beside its XModule class. Keep this short.</summary>
    private static readonly HashSet<string> AlsoPublic = ["VoicePlatform.Sessions.PublicMediaUrl", "VoicePlatform.Calls.TestLine"];

    /// <summary>Whose contracts a module may use, beside its own. Everybody may use Tenant's: who is this, announce an event.</summary>
    private static readonly Dictionary<string, string[]> AllowedPairs = new()
    {
        ["Agent"] = ["Sessions", "Assistants"],
        ["Assistant"] = ["Billing"],
        ["Billing"] = [],
        ["Call"] = ["Sessions", "Trunks", "Assistants", "Billing", "Agent"],
        ["Session"] = ["Agent", "Assistants", "Billing"],
        ["Tenant"] = [],
        ["Trunk"] = ["Assistants", "Billing"],
    };

    [Test]
    public void A_module_references_no_other_module()
    {
        var modules = SourceTree.Modules;
        var names = modules.Select(m => m.Project).ToHashSet();
        SourceTree.AssertNone(
            modules.Count,
            from module in modules
            from reference in module.Assembly.GetReferencedAssemblies()
            where reference.Name != module.Project && (names.Contains(reference.Name!) || reference.Name is "VoicePlatform.Host" or "VoicePlatform.MediaServer")
            select $"{module.Project} references {reference.Name}",
            "Modules meet only in Contracts:");
    }

    [Test]
    public void A_module_project_names_only_the_projects_below_it()
    {
        HashSet<string> below = ["VoicePlatform.SharedKernel", "VoicePlatform.Contracts", "VoicePlatform.LiveKit"];
        var projects = SourceTree.Files("src/Modules", "*.csproj");
        SourceTree.AssertNone(
            projects.Count,
            from project in projects
            from Match reference in ProjectReference.Matches(project.Text)
            where !below.Contains(reference.Groups[1].Value)
            select $"{project.Path} references {reference.Groups[1].Value}",
            "A module stands on SharedKernel, Contracts and LiveKit:");
    }

    [Test]
    public void Only_the_module_class_of_a_module_is_public()
    {
        var exported = SourceTree.Modules.SelectMany(m => m.Assembly.GetExportedTypes().Select(t => (Module: m, Type: t))).ToList();
        SourceTree.AssertNone(
            exported.Count,
            from e in exported
            where e.Type.FullName != $"{e.Module.Project}.{e.Module.Name}Module" && !AlsoPublic.Contains(e.Type.FullName!)
            select e.Type.FullName!,
            "What is inside a module is internal:");
        Assert.That(AlsoPublic.Except(exported.Select(e => e.Type.FullName!)), Is.Empty, "The list of exceptions names what is no more.");
    }

    [Test]
    public void Contracts_holds_records_enums_and_interfaces_only()
    {
        var types = SourceTree.Contracts.GetTypes().Where(t => t.GetCustomAttribute<CompilerGeneratedAttribute>() is null && !t.IsNestedPrivate).ToList();
        SourceTree.AssertNone(
            types.Count,
            from type in types
            where !type.IsEnum && !type.IsInterface && !IsRecord(type) && !IsVocabulary(type)
            select type.FullName!,
            "Contracts has no behaviour:");

        static bool IsRecord(Type t) => t.GetMethod("<Clone>$") is not null
            || (t.IsValueType && t.GetMethod("PrintMembers", BindingFlags.NonPublic | BindingFlags.Instance) is not null);

        // A static class of constants is a list of words.
        static bool IsVocabulary(Type t) => t is { IsAbstract: true, IsSealed: true }
            && t.GetMembers(BindingFlags.DeclaredOnly | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic)
                .All(m => m is FieldInfo { IsLiteral: true } or FieldInfo { IsInitOnly: true } or ConstructorInfo);
    }

    [Test]
    public void Contracts_knows_neither_database_nor_web_nor_validation()
    {
        string[] kept = ["Microsoft.EntityFrameworkCore", "Microsoft.AspNetCore", "FluentValidation", "Npgsql", "Dapper", "VoicePlatform.LiveKit"];
        var references = SourceTree.Contracts.GetReferencedAssemblies();
        SourceTree.AssertNone(
            references.Length,
            references.Select(r => r.Name!).Where(r => kept.Any(k => r.StartsWith(k, StringComparison.Ordinal))),
            "Contracts references only what its records are made of:");
    }

    [Test]
    public void Modules_use_only_the_contracts_that_the_table_allows()
    {
        var uses = (from module in SourceTree.Modules
                    from file in SourceTree.Files(module.Folder)
                    from Match use in ContractsUse.Matches(file.Code)
                    select (Module: module, file.Path, Owner: use.Groups[1].Value)).ToList();
        SourceTree.AssertNone(
            uses.Count,
            from use in uses
            where use.Owner != use.Module.Plural && use.Owner != "Tenants" && !(AllowedPairs.TryGetValue(use.Module.Name, out var allowed) && allowed.Contains(use.Owner))
            select $"{use.Module} -> {use.Owner} in {use.Path}",
            "These pairs of modules are not in the table:");
    }

    [TestCase("VoicePlatform.SharedKernel")]
    [TestCase("VoicePlatform.LiveKit")]
    [TestCase("VoicePlatform.MediaServer", "VoicePlatform.LiveKit")]
    [TestCase("VoicePlatform.Contracts", "VoicePlatform.SharedKernel")]
    public void What_lies_below_the_modules_knows_only(string assembly, params string[] known)
    {
        var references = Assembly.Load(assembly).GetReferencedAssemblies();
        SourceTree.AssertNone(
            references.Length,
            references.Select(r => r.Name!).Where(r => r.StartsWith("VoicePlatform.", StringComparison.Ordinal) && !known.Contains(r)),
            $"{assembly} may know {(known.Length == 0 ? "none of ours" : string.Join(", ", known))}:");
    }

    [GeneratedRegex("""<ProjectReference Include="[^"]*?([\w.]+)\.csproj""")]
    private static partial Regex ProjectReference { get; }

    [GeneratedRegex(@"\bContracts\.([A-Z]\w+)")]
    private static partial Regex ContractsUse { get; }
}
