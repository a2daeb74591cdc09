using System.Text.Json;
using System.Text.RegularExpressions;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Assistants;

/// <summary>What holds for the choice of any model.</summary>
internal sealed partial class ModelRules : AbstractValidator<ModelChoice>
{
    private const int MaxScriptRules = 200;

    public ModelRules()
    {
        RuleFor(c => c.Model).Must(m => m is null || Descriptor().IsMatch(m))
            .WithMessage("A model is written as provider/model, with :voice or :language after it where it has one.");
        RuleFor(c => c.Options).Must(o => o is not null).WithMessage("'options' must be an object.");
        RuleFor(c => c.Fallbacks).Must(f => f is not null).WithMessage("'fallbacks' must be a list.");
        RuleForEach(c => c.Fallbacks).NotNull().Matches(Descriptor()).When(c => c.Fallbacks is not null);
        RuleFor(c => ((LanguageModelChoice)c).Temperature).InclusiveBetween(0, 2).When(c => c is LanguageModelChoice).OverridePropertyName("temperature");
        RuleFor(c => c.Options).Custom((_, context) => ScriptIsSound(context)).When(c => c is LanguageModelChoice { Model: "local/script", Options: not null });
    }

    [GeneratedRegex(@"^[a-z0-9_-]{1,40}/[A-Za-z0-9][A-Za-z0-9._/-]{0,120}(:[A-Za-z0-9._ -]{1,80})?$", RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture)]
    internal static partial Regex Descriptor();

    private static void ScriptIsSound(ValidationContext<ModelChoice> context)
    {
        ScriptOptions options;
        try
        {
            options = JsonSerializer.SerializeToElement(context.InstanceToValidate.Options, Json.Options).Deserialize<ScriptOptions>(Json.Options)!;
        }
        catch (JsonException e)
        {
            Refuse((e.Path ?? "").TrimStart('$'), "The options of local/script are 'rules' [{when, say, tool, end_call}] and 'otherwise'.");
            return;
        }

        if (options is not { Rules: { } rules, Otherwise: not null } || rules.Any(r => r is not { When: not null, Say: not null }))
        {
            Refuse("", "'rules', their 'when' and 'say', and 'otherwise' are not null.");
            return;
        }

        if (options.Rules.Count > MaxScriptRules)
        {
            Refuse(".rules", $"There may be up to {MaxScriptRules} rules.");
            return;
        }

        for (var i = 0; i < options.Rules.Count; i++)
        {
            try
            {
                _ = Regex.IsMatch("", options.Rules[i].When, RegexOptions.NonBacktracking | RegexOptions.IgnoreCase, TimeSpan.FromSeconds(1));
            }
            catch (Exception e) when (e is ArgumentException or NotSupportedException)
            {
                Refuse($".rules[{i}].when", "Not a regular expression that can be run (no look-around, no back-references).");
            }
        }

        void Refuse(string path, string message) => context.AddFailure($"{nameof(ModelChoice.Options)}{path}", message);
    }
}
