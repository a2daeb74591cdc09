using System.Collections.Concurrent;
using System.Reflection;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace VoicePlatform.Host.OpenApi;

/// <summary>What the sources say about a type, a property or an enum's word, read from the XML files beside the assemblies.</summary>
internal static partial class Comments
{
    private static readonly ConcurrentDictionary<Assembly, IReadOnlyDictionary<string, XElement>> Files = new();

    public static string? Of(Type type) => Text(Member($"T:{NameOf(type)}", type)?.Element("summary"));

    /// <summary>The property's own summary, or the parameter's of the record that declares it.</summary>
    public static string? Of(PropertyInfo property)
    {
        var owner = property.DeclaringType!;
        return Text(Member($"P:{NameOf(owner)}.{property.Name}", owner)?.Element("summary"))
            ?? Text(Member($"T:{NameOf(owner)}", owner)?.Elements("param").FirstOrDefault(p => p.Attribute("name")?.Value == property.Name));
    }

    public static string? OfWord(Type enumType, string word) => Text(Member($"F:{NameOf(enumType)}.{word}", enumType)?.Element("summary"));

    private static XElement? Member(string name, Type owner) => Files.GetOrAdd(owner.Assembly, Read).GetValueOrDefault(name);

    private static string NameOf(Type type) => (type.IsGenericType ? type.GetGenericTypeDefinition() : type).FullName!.Replace('+', '.');

    private static Dictionary<string, XElement> Read(Assembly assembly)
    {
        var file = Path.ChangeExtension(assembly.Location, ".xml");
        return File.Exists(file) ? XDocument.Load(file).Descendants("member").ToDictionary(m => m.Attribute("name")!.Value) : [];
    }

    /// <summary>References become the word they refer to; lines become one.</summary>
    private static string? Text(XElement? element)
    {
        if (element is null)
        {
            return null;
        }

        var words = element.Nodes().Select(node => node switch
        {
            XText text => text.Value,
            XElement { Name.LocalName: "see" or "paramref" } reference => Last((reference.Attribute("cref") ?? reference.Attribute("name"))?.Value ?? ""),
            XElement inner => inner.Value,
            _ => "",
        });
        return Spaces().Replace(string.Concat(words), " ").Trim() is { Length: > 0 } text ? text : null;
    }

    private static string Last(string reference) => System.Text.Json.JsonNamingPolicy.SnakeCaseLower.ConvertName(reference[(reference.LastIndexOfAny(['.', ':']) + 1)..]);

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();
}
