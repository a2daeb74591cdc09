using System.Text.Json;
using System.Text.RegularExpressions;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Assistants;

/// <summary>Reads an assistant document and says which fields are wrong, by the paths the sender wrote.</summary>
internal sealed partial class DocumentRules : AbstractValidator<AssistantDocument>
{
    private const int PromptMaxLength = 100_000;
    private const int TextMaxLength = 4_000;
    private const int MaxVariables = 100;
    private const int MaxTools = 50;
    private const int MaxPhrases = 20;
    private const int PhraseMaxLength = 100;

    private static readonly DocumentRules Instance = new();

    private DocumentRules()
    {
        RuleFor(d => d.Name).NotEmpty().MaximumLength(200);
        RuleFor(d => d.Description).NotNull().MaximumLength(TextMaxLength);
        RuleFor(d => d.Prompt).NotNull().MaximumLength(PromptMaxLength);
        RuleFor(d => d.Variables).NotNull().Must(v => v is null || v.Count <= MaxVariables).WithMessage($"There may be up to {MaxVariables} variables.");
        RuleForEach(d => d.Variables).Must(v => VariableName().IsMatch(v.Key) && v.Value is { Length: <= TextMaxLength })
            .WithMessage("A variable's name is made of letters, digits and '_', and its value is text.");
        RuleFor(d => d.Greeting).NotNull();
        RuleFor(d => d.Greeting.Text).NotNull().MaximumLength(TextMaxLength).When(d => d.Greeting is not null);
        RuleFor(d => d.Stt).NotNull().SetValidator(new ModelRules());
        RuleFor(d => d.Llm).NotNull().SetValidator(new ModelRules());
        RuleFor(d => d.Tts).NotNull().SetValidator(new ModelRules());
        RuleFor(d => d.Tts.Speed).InclusiveBetween(0.5, 2).When(d => d.Tts is not null);
        RuleFor(d => d.Realtime).NotNull().When(d => d.Architecture is Architecture.Realtime or Architecture.HalfCascade)
            .WithMessage("'realtime' must name a model for this architecture.");
        RuleFor(d => d.Realtime!.Options).NotNull().When(d => d.Realtime is not null);
        RuleFor(d => d.Realtime!.Model).Matches(ModelRules.Descriptor()).When(d => d.Realtime is not null).WithMessage("A model is written as provider/model.");

        RuleFor(d => d.Turn).NotNull();
        RuleFor(d => d.Turn.MinEndpointingS).InclusiveBetween(0, 5).When(d => d.Turn is not null);
        RuleFor(d => d.Turn.MaxEndpointingS).InclusiveBetween(0, 10).When(d => d.Turn is not null);
        RuleFor(d => d.Turn.MaxEndpointingS).Must((d, max) => max >= d.Turn.MinEndpointingS).When(d => d.Turn is not null)
            .WithMessage("'max_endpointing_s' must not be below 'min_endpointing_s'.");
        RuleFor(d => d.Interruption).NotNull();
        RuleFor(d => d.Interruption.MinDurationS).InclusiveBetween(0, 5).When(d => d.Interruption is not null);
        RuleFor(d => d.Interruption.MinWords).InclusiveBetween(0, 20).When(d => d.Interruption is not null);
        RuleFor(d => d.Interruption.FalseInterruptionTimeoutS).InclusiveBetween(0, 10).When(d => d.Interruption is not null);
        RuleFor(d => d.Limits).NotNull();
        RuleFor(d => d.Limits.MaxDurationS).InclusiveBetween(10, 14_400).When(d => d.Limits is not null);
        RuleFor(d => d.Limits.IdleRepromptS).InclusiveBetween(0, 600).When(d => d.Limits is not null);
        RuleFor(d => d.Limits.IdleMaxReprompts).InclusiveBetween(0, 10).When(d => d.Limits is not null);
        RuleFor(d => d.Audio).NotNull();
        RuleFor(d => d.Recording).NotNull();
        RuleFor(d => d.Tools).NotNull().Must(t => t is null || (t.Count <= MaxTools && t.All(id => Ids.IsWellFormed(id, Ids.Tool)))).WithMessage($"'tools' names up to {MaxTools} tools by their ids.");
        RuleFor(d => d.EndCallUrl).Must(u => Uri.TryCreate(u, UriKind.Absolute, out var uri) && uri.Scheme is "https" or "http")
            .When(d => d.EndCallUrl is not null).WithMessage("'end_call_url' must be an absolute http or https URL.");
        RuleFor(d => d.EndCallPhrases).NotNull().Must(p => p is null || (p.Count <= MaxPhrases && p.All(x => !string.IsNullOrWhiteSpace(x) && x.Length <= PhraseMaxLength)))
            .WithMessage($"There may be up to {MaxPhrases} phrases of 1 to {PhraseMaxLength} characters.");
        RuleFor(d => d.Voicemail).NotNull();
        RuleFor(d => d.Voicemail.Message).NotNull().MaximumLength(TextMaxLength).When(d => d.Voicemail is not null);
        RuleFor(d => d.Voicemail.Message).NotEmpty().When(d => d.Voicemail is { Action: VoicemailAction.LeaveMessage })
            .WithMessage("'voicemail.message' is needed to leave one.");
        RuleFor(d => d.RetentionDays).InclusiveBetween(1, 3_650);
        RuleFor(d => d.Analysis!).SetValidator(new AnalysisRules()).When(d => d.Analysis is not null);
    }

    /// <summary>The document with every default filled in, or the fields that are wrong.</summary>
    public static Result<AssistantDocument> Read(JsonElement json)
    {
        AssistantDocument document;
        try
        {
            document = json.Deserialize<AssistantDocument>(Json.Options) ?? throw new JsonException("null");
        }
        catch (JsonException e)
        {
            return Unreadable(e, "an assistant");
        }

        var outcome = Instance.Validate(document);
        return outcome.IsValid ? document : Refused(outcome);
    }

    internal static Error Refused(FluentValidation.Results.ValidationResult outcome)
    {
        var fields = outcome.Errors.Select(e => new FieldError(
            string.Join('.', e.PropertyName.Split('.').Select(JsonNamingPolicy.SnakeCaseLower.ConvertName)),
            JsonNamingPolicy.SnakeCaseLower.ConvertName((e.ErrorCode ?? "invalid").Replace("Validator", "", StringComparison.Ordinal)),
            e.ErrorMessage)).ToList();
        return new Error(ErrorKind.Invalid, "request.invalid", fields[0].Message) { Fields = fields };
    }

    internal static Error Unreadable(JsonException e, string what)
    {
        var field = e.Path is null or "$" ? "" : e.Path.TrimStart('$', '.');
        if (e.Message.Contains("missing required", StringComparison.Ordinal))
        {
            // The message names the type first and then what it lacks.
            var missing = Quoted().Matches(e.Message).Last().Groups["name"].Value;
            return Error.Field(field.Length == 0 ? missing : $"{field}.{missing}", "required", $"'{missing}' is needed.");
        }

        return e.Message.Contains("could not be mapped", StringComparison.Ordinal)
            ? Error.Field(field, "unknown_field", $"'{field}' is not a field of {what}.")
            : Error.Field(field, "wrong_type", $"'{field}' is not of the right type.");
    }

    [GeneratedRegex("^[A-Za-z_][A-Za-z0-9_]{0,63}$", RegexOptions.NonBacktracking)]
    internal static partial Regex VariableName();

    [GeneratedRegex("'(?<name>[^']+)'", RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture)]
    private static partial Regex Quoted();
}
