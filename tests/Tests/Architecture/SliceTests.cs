using System.Reflection;
using System.Text.RegularExpressions;
using MediatR;
using VoicePlatform.SharedKernel;
using VoicePlatform.SharedKernel.Outbox;

namespace VoicePlatform.Tests.Architecture;

/// <summary>What the mediator and the router would only tell at run time, or never.</summary>
internal sealed partial class SliceTests
{
    private static readonly IReadOnlyList<Type> Types = [.. SourceTree.Modules.Select(m => m.Assembly).Append(SourceTree.Contracts).SelectMany(a => a.GetTypes())];

    [Test]
    public void Every_request_has_exactly_one_handler()
    {
        var handlers = (from type in Types
                        where !type.IsAbstract
                        from face in type.GetInterfaces()
                        where face.IsGenericType && face.GetGenericTypeDefinition() == typeof(IRequestHandler<,>)
                        select face.GetGenericArguments()[0]).GroupBy(t => t).ToDictionary(g => g.Key, g => g.Count());
        var requests = Types.Where(t => !t.IsAbstract && t.GetInterfaces().Any(i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(IRequest<>))).ToList();
        SourceTree.AssertNone(
            requests.Count,
            from request in requests
            let count = handlers.GetValueOrDefault(request)
            where count != 1
            select $"{request.FullName} has {count} handlers",
            "Two handlers for a request are not reported by the mediator:");
    }

    [Test]
    public void Whoever_posts_to_the_ledger_is_a_command()
    {
        // A posting outside of a unit of work commits by itself: right for the one that is all there is to do, and wrong for the fact that it belongs to.
        string[] alone = ["ExtendHold"];
        var posting = (from type in Types
                       where !type.IsAbstract && type.GetConstructors().Any(c => c.GetParameters().Any(p => p.ParameterType.Name == "LedgerPostings"))
                       from face in type.GetInterfaces()
                       where face.IsGenericType && face.GetGenericTypeDefinition() == typeof(IRequestHandler<,>)
                       select face.GetGenericArguments()[0]).ToList();
        SourceTree.AssertNone(
            posting.Count,
            posting.Where(r => !r.IsAssignableTo(typeof(ICommand)) && !alone.Contains(r.Name)).Select(r => r.FullName!),
            "These post to the ledger, and are no commands:");
    }

    [Test]
    public void Event_names_are_unique_and_well_formed()
    {
        var events = Types.Where(t => !t.IsAbstract && t.IsAssignableTo(typeof(IIntegrationEvent)))
            .Select(t => (Type: t, Name: (string)t.GetProperty(nameof(IIntegrationEvent.Name), BindingFlags.Public | BindingFlags.Static)!.GetValue(null)!))
            .ToList();
        SourceTree.AssertNone(
            events.Count,
            events.Where(e => !EventName.IsMatch(e.Name)).Select(e => $"{e.Type.FullName} is called '{e.Name}'")
                .Concat(events.GroupBy(e => e.Name).Where(g => g.Count() > 1).Select(g => $"'{g.Key}' is the name of {string.Join(" and ", g.Select(e => e.Type.FullName))}")),
            "An event's name is 'owner.fact.vN' and its own:");
    }

    [Test]
    public void Every_slice_with_a_route_is_mapped_by_its_module()
    {
        var slices = (from module in SourceTree.Modules
                      from type in module.Assembly.GetTypes()
                      where type is { IsAbstract: true, IsSealed: true, IsNested: false }
                          && type.GetMethods(BindingFlags.Public | BindingFlags.Static | BindingFlags.DeclaredOnly).Any(m => m.Name == "Map")
                      select (Module: module, type.Name)).ToList();
        SourceTree.AssertNone(
            slices.Count,
            from slice in slices
            let contents = SourceTree.Files(slice.Module.Folder).Single(f => f.Name == $"{slice.Module.Name}Module").Code
            let times = Regex.Count(contents, $@"\b{slice.Name}\.Map\(")
            where times != 1
            select $"{slice.Module.Name}Module maps {slice.Name} {times} times",
            "A module's Map is its table of contents:");
    }

    [Test]
    public void Slices_do_not_use_each_others_nested_types()
    {
        var features = SourceTree.Modules.Select(m => SourceTree.Files($"{m.Folder}/Features")).Where(f => f.Count > 0).ToList();
        SourceTree.AssertNone(
            features.Count,
            from module in features
            from user in module
            from Match use in NestedUse.Matches(user.Code)
            let used = use.Groups[1].Value
            where used != user.Name && module.Any(f => f.Name == used)
            select $"{user.Path} uses {use.Value}",
            "A use case is one file; what two of them share is a type of the module:");
    }

    [GeneratedRegex(@"^[a-z]+(\.[a-z_]+)+\.v\d+$")]
    private static partial Regex EventName { get; }

    [GeneratedRegex(@"(?<![\w.])([A-Z]\w+)\.(Command|Query|Response|Validator|Handler|Item|Line)\b")]
    private static partial Regex NestedUse { get; }
}
