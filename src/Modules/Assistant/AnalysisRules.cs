using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Assistants;

/// <summary>What may be asked about a conversation when it is over.</summary>
internal sealed class AnalysisRules : AbstractValidator<AnalysisSettings>
{
    private const int MaxFields = 50;
    private const int MaxOptions = 50;
    private const int TextMaxLength = 1_000;
    private const int OptionMaxLength = 200;

    public AnalysisRules()
    {
        RuleFor(a => a.Success).Must(s => !string.IsNullOrWhiteSpace(s) && s.Length <= TextMaxLength).When(a => a.Success is not null)
            .WithMessage($"'success' says in 1 to {TextMaxLength} characters when the conversation counts as one.");
        RuleFor(a => a.Fields).Must(f => f is { Count: <= MaxFields }).WithMessage($"There may be up to {MaxFields} fields.");
        RuleFor(a => a.Fields).Must((a, f) => f.Count > 0 || a.Summary || a.Success is not null).When(a => a.Fields is not null)
            .WithMessage("Nothing is asked: set 'summary', 'success' or 'fields', or 'analysis' to null.");
        RuleFor(a => a.Fields).Must(f => f.Where(x => x is not null).GroupBy(x => x.Name, StringComparer.Ordinal).All(g => g.Count() == 1)).When(a => a.Fields is not null)
            .WithMessage("A field's name may be there once.");
        RuleForEach(a => a.Fields).NotNull().ChildRules(field =>
        {
            field.RuleFor(f => f.Name).Must(n => n is not null && DocumentRules.VariableName().IsMatch(n)).WithMessage("A field's name is made of letters, digits and '_'.");
            field.RuleFor(f => f.Description).NotNull().MaximumLength(TextMaxLength);
            field.RuleFor(f => f.Options)
                .Must(o => o is { Count: <= MaxOptions } && o.All(x => !string.IsNullOrWhiteSpace(x) && x.Length <= OptionMaxLength) && o.Distinct(StringComparer.Ordinal).Count() == o.Count)
                .WithMessage($"There may be up to {MaxOptions} different options of 1 to {OptionMaxLength} characters.");
            field.RuleFor(f => f.Options).Must((f, o) => o.Count == 0 || f.Type is AnalysisFieldType.Text).When(f => f.Options is not null)
                .WithMessage("Only a field of type text has options.");
        }).When(a => a.Fields is not null);
        RuleFor(a => a.Llm!).SetValidator(new ModelRules()).When(a => a.Llm is not null);
    }
}
