using System.Text.Json;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Sessions;

/// <summary>Replaces {{name}} from variables, then metadata, and {{metadata.name}}. An unknown name stays as it is and is reported.</summary>
internal static class Placeholders
{
    public static AssistantDocument Fill(AssistantDocument document, IReadOnlyDictionary<string, string> values, ICollection<string> unknown) => document with
    {
        Prompt = Fill(document.Prompt, values, unknown),
        Greeting = document.Greeting with { Text = Fill(document.Greeting.Text, values, unknown) },
        Voicemail = document.Voicemail with { Message = Fill(document.Voicemail.Message, values, unknown) },
    };

    public static string Fill(string text, IReadOnlyDictionary<string, string> values, ICollection<string> unknown) => Template.Fill(text, name =>
    {
        if (values.TryGetValue(name, out var value))
        {
            return value;
        }

        unknown.Add(name);
        return null;
    });

    /// <summary>All that can be replaced: the assistant's defaults, over them the metadata, over it the session's variables.</summary>
    public static Dictionary<string, string> Values(AssistantDocument document, string variablesJson, string metadataJson)
    {
        var values = new Dictionary<string, string>(document.Variables);
        foreach (var field in Json.Read<JsonElement>(metadataJson).EnumerateObject())
        {
            if (field.Value.ValueKind is JsonValueKind.String or JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False)
            {
                values[field.Name] = values["metadata." + field.Name] = field.Value.ToString();
            }
        }

        foreach (var (name, value) in Json.Read<Dictionary<string, string>>(variablesJson))
        {
            values[name] = value;
        }

        return values;
    }
}
