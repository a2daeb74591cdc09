using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.RegularExpressions;
using VoicePlatform.Agent.Language;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Agent.Providers.Script;

/// <summary>Answers by the rules in the assistant's llm.options, the same every time.</summary>
internal sealed partial class ScriptModel : ILanguageModel
{
    public string Provider => "local";

    public string Model => "script";

    public async IAsyncEnumerable<Generated> AnswerAsync(Prompt prompt, [EnumeratorCancellation] CancellationToken ct)
    {
        var options = JsonSerializer.SerializeToElement(prompt.Assistant.Llm.Options, Json.Options).Deserialize<ScriptOptions>(Json.Options)!;
        var rule = options.Rules.FirstOrDefault(r => Regex.IsMatch(
            prompt.Text, r.When, RegexOptions.NonBacktracking | RegexOptions.IgnoreCase | RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1)));
        await Task.CompletedTask;
        var say = Name().Replace(
            rule?.Say ?? options.Otherwise, match => prompt.Variables.GetValueOrDefault(match.Groups["name"].Value) ?? match.Value);
        if (say.Length > 0)
        {
            yield return new Generated.Text(say);
        }

        if (rule is { EndCall: true })
        {
            yield return new Generated.EndConversation();
        }
    }

    [GeneratedRegex(@"\{\{\s*(?<name>[A-Za-z_][A-Za-z0-9_.]*)\s*\}\}", RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture)]
    private static partial Regex Name();
}
