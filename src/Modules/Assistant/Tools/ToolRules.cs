using System.Text.Json;
using System.Text.RegularExpressions;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Assistants.Tools;

/// <summary>Reads a tool and says which fields are wrong, by the paths the sender wrote.</summary>
internal sealed partial class ToolRules : AbstractValidator<ToolDocument>
{
    private const int MaxSchema = 16 * 1024;
    private const int MaxHeaders = 20;
    private const int MaxDestinations = 20;

    private static readonly ToolRules Instance = new();

    // The connection is ours to make.
    private static readonly string[] OwnHeaders = ["host", "content-length", "content-type", "connection", "transfer-encoding", "upgrade", "te", "trailer"];

    private ToolRules()
    {
        RuleFor(t => t.Name).NotNull().Matches(FunctionName()).WithMessage("'name' is made of letters, digits and '_', begins with no digit, and has up to 64 characters.");
        RuleFor(t => t.Description).NotNull().MaximumLength(2_000);
        RuleFor(t => t.Say).NotNull().MaximumLength(500);
        RuleFor(t => t.Parameters).Must(p => p is null || (p.Value.ValueKind is JsonValueKind.Object && p.Value.TryGetProperty("type", out var type) && type.ValueKind is JsonValueKind.String && type.GetString() == "object"))
            .WithMessage("'parameters' is a JSON Schema whose type is object.");
        RuleFor(t => t.Parameters).Must(p => p is null || p.Value.GetRawText().Length <= MaxSchema).WithMessage("'parameters' may have up to 16 KB.");
        Belongs(t => t.Webhook, ToolType.Webhook, "webhook");
        Belongs(t => t.Static, ToolType.Static, "static");
        Belongs(t => t.Client, ToolType.Client, "client", isNeeded: false);
        Belongs(t => t.Builtin, ToolType.Builtin, "builtin");
        Belongs(t => t.Mcp, ToolType.Mcp, "mcp");
        RuleFor(t => t.Webhook!.Url).Must(IsHttp).When(t => t.Webhook is not null).WithMessage("'webhook.url' must be an absolute http or https URL of up to 2,000 characters.");
        RuleFor(t => t.Webhook!.TimeoutS).InclusiveBetween(1, 30).When(t => t.Webhook is not null);
        RuleFor(t => t.Webhook!.Headers).Custom((headers, context) => CheckHeaders(headers, "webhook.headers", context)).When(t => t.Webhook?.Headers is not null);
        RuleFor(t => t.Static!.Result).NotNull().MaximumLength(8_000).When(t => t.Static is not null);
        RuleFor(t => t.Client!.Method).MaximumLength(64).When(t => t.Client is not null);
        RuleFor(t => t.Client!.TimeoutS).InclusiveBetween(1, 30).When(t => t.Client is not null);
        RuleFor(t => t.Builtin!.Destinations).Must(d => d is { Count: > 0 and <= MaxDestinations } && d.All(x => E164.IsValid(x) || SipUri().IsMatch(x)))
            .When(t => t.Builtin is { Function: BuiltinFunction.TransferCall }).WithMessage("'builtin.destinations' names 1 to 20 numbers in E.164 form or sip: addresses to which calls may be transferred.");
        RuleFor(t => t.Builtin!.Destinations).Null().When(t => t.Builtin is { Function: not BuiltinFunction.TransferCall }).WithMessage("Only transfer_call has 'destinations'.");
        RuleFor(t => t.Mcp!.Url).Must(IsHttp).When(t => t.Mcp is not null).WithMessage("'mcp.url' must be an absolute http or https URL of up to 2,000 characters.");
        RuleFor(t => t.Mcp!.TimeoutS).InclusiveBetween(1, 30).When(t => t.Mcp is not null);
        RuleFor(t => t.Mcp!.AllowedTools).Must(a => a is null || (a.Count <= 100 && a.All(n => n is { Length: > 0 and <= 128 }))).When(t => t.Mcp is not null)
            .WithMessage("'mcp.allowed_tools' names up to 100 tools.");
        RuleFor(t => t.Mcp!.Headers).Custom((headers, context) => CheckHeaders(headers, "mcp.headers", context)).When(t => t.Mcp?.Headers is not null);
    }

    /// <summary>The tool with every default filled in, or the fields that are wrong.</summary>
    public static Result<ToolDocument> Read(JsonElement json)
    {
        ToolDocument document;
        try
        {
            document = json.Deserialize<ToolDocument>(Json.Options) ?? throw new JsonException("null");
        }
        catch (JsonException e)
        {
            return DocumentRules.Unreadable(e, "a tool");
        }

        var outcome = Instance.Validate(document);
        return outcome.IsValid ? document : DocumentRules.Refused(outcome);
    }

    /// <summary>The mask that answers show in a header's place is not a value.</summary>
    public static Error? MaskRefusal(JsonElement sent)
    {
        foreach (var part in (string[])["webhook", "mcp"])
        {
            if (sent.ValueKind is JsonValueKind.Object && sent.TryGetProperty(part, out var settings) && settings.ValueKind is JsonValueKind.Object
                && settings.TryGetProperty("headers", out var headers) && headers.ValueKind is JsonValueKind.Object)
            {
                foreach (var header in headers.EnumerateObject())
                {
                    if (header.Value.ValueKind is JsonValueKind.String && Mask.IsMasked(header.Value.GetString()!))
                    {
                        return Error.Field($"{part}.headers.{header.Name}", "masked", "This is the mask that answers show, not a value: leave the header out to keep it.");
                    }
                }
            }
        }

        return null;
    }

    private void Belongs<T>(System.Linq.Expressions.Expression<Func<ToolDocument, T?>> part, ToolType type, string name, bool isNeeded = true)
        where T : class
    {
        if (isNeeded)
        {
            RuleFor(part).NotNull().When(t => t.Type == type).WithMessage($"A {name} tool needs '{name}'.");
        }

        RuleFor(part).Null().When(t => t.Type != type).WithMessage($"'{name}' belongs to tools of that type only.");
    }

    private static bool IsHttp(string? url) =>
        url is { Length: <= 2_000 } && Uri.TryCreate(Placeholder().Replace(url, "x"), UriKind.Absolute, out var uri) && uri.Scheme is "https" or "http" && uri.UserInfo.Length == 0;

    private static void CheckHeaders(IReadOnlyDictionary<string, string>? headers, string field, ValidationContext<ToolDocument> context)
    {
        if (headers!.Count > MaxHeaders)
        {
            context.AddFailure(field, $"There may be up to {MaxHeaders} headers.");
        }

        foreach (var (name, value) in headers)
        {
            if (!HeaderName().IsMatch(name) || OwnHeaders.Contains(name, StringComparer.OrdinalIgnoreCase))
            {
                context.AddFailure($"{field}.{name}", "This header cannot be set.");
            }
            else if (value is not { Length: <= 4_000 } || value.Any(char.IsControl))
            {
                context.AddFailure($"{field}.{name}", "A header's value has up to 4,000 printable characters.");
            }
        }
    }

    [GeneratedRegex("^[A-Za-z_][A-Za-z0-9_]{0,63}$", RegexOptions.NonBacktracking)]
    private static partial Regex FunctionName();

    [GeneratedRegex("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$", RegexOptions.NonBacktracking)]
    private static partial Regex HeaderName();

    [GeneratedRegex("^sips?:[!-;=?-~]{1,100}@[!-;=?-~]{1,200}$", RegexOptions.NonBacktracking)]
    private static partial Regex SipUri();

    [GeneratedRegex(@"\{\{[^{}]*\}\}", RegexOptions.NonBacktracking)]
    private static partial Regex Placeholder();
}
