using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.RegularExpressions;
using VoicePlatform.Agent.Language;
using VoicePlatform.Agent.Speech;
using VoicePlatform.Agent.Tools;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Agent.Providers.Script;

/// <summary>Answers by the rules in the assistant's llm.options, the same every time.</summary>
internal sealed class ScriptModel : ILanguageModel
{
    // A conversation asks with the same document every time: its rules are read once.
    private static readonly ConditionalWeakTable<LanguageModelChoice, Script> Scripts = [];

    public string Provider => "local";

    public string Model => "script";

    public async IAsyncEnumerable<Generated> AnswerAsync(Prompt prompt, [EnumeratorCancellation] CancellationToken ct)
    {
        var script = Scripts.GetValue(prompt.Assistant.Llm, static llm => new Script(llm));
        var rule = script.Rules.FirstOrDefault(r => r.When.IsMatch(prompt.Text)).Rule;
        await Task.CompletedTask;
        if (rule is { Tool: { Length: > 0 } tool } && prompt.Exchanges.Count == 0)
        {
            yield return new Generated.Call(new ToolCall("script", tool, Arguments(rule, prompt)));
            yield break;
        }

        var result = prompt.Exchanges is [.., var last] ? last.Calls[^1].Outcome.Text : null;
        var say = Template.Fill(rule?.Say ?? script.Otherwise, name => name == "result" && result is not null ? result : prompt.Variables.GetValueOrDefault(name));
        if (say.Length > 0)
        {
            yield return new Generated.Text(say);
        }

        if (rule is { EndCall: true })
        {
            yield return new Generated.EndConversation();
        }
    }

    /// <summary>What the rule gives the tool, and what the caller said.</summary>
    private static string Arguments(ScriptRule rule, Prompt prompt)
    {
        var arguments = rule.Arguments.ToDictionary(a => a.Key, a => Placeholder.Fill(a.Value, prompt.Variables));
        arguments.TryAdd("text", prompt.Text);
        return Json.Write(arguments);
    }

    private sealed class Script
    {
        /// <exception cref="ProviderException">A rule is not a regular expression that can be matched in linear time.</exception>
        public Script(LanguageModelChoice llm)
        {
            try
            {
                var options = JsonSerializer.SerializeToElement(llm.Options, Json.Options).Deserialize<ScriptOptions>(Json.Options)!;
                Otherwise = options.Otherwise;
                Rules = [.. options.Rules.Select(r => (new Regex(r.When, RegexOptions.NonBacktracking | RegexOptions.IgnoreCase | RegexOptions.CultureInvariant), r))];
            }
            catch (Exception e) when (e is JsonException or ArgumentException or NotSupportedException)
            {
                throw new ProviderException("local", "The assistant's script has a rule that cannot be read.", retryable: false, e);
            }
        }

        public string Otherwise { get; }

        public IReadOnlyList<(Regex When, ScriptRule Rule)> Rules { get; }
    }
}
