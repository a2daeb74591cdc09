using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using VoicePlatform.Trunks.Data;

namespace VoicePlatform.Trunks;

/// <summary>Reads a trunk's settings and says which fields are wrong, by the names the sender wrote; knows what each provider asks for.</summary>
internal sealed partial class TrunkRules : AbstractValidator<TrunkSettings>
{
    private const int MaxNumbers = 1_000;
    private const int MaxAddresses = 100;

    private static readonly TrunkRules Instance = new();

    private TrunkRules()
    {
        RuleFor(t => t.Name).NotEmpty().MaximumLength(200);
        RuleFor(t => t.Address).NotNull().Must(a => SipAddress.TryParse(a, out _)).When(t => t.Direction is TrunkDirection.Outbound)
            .WithMessage("'address' must be the provider's host name or address, with ':port' where it is not 5060, and without 'sip:'.");
        RuleFor(t => t.Address).Must(string.IsNullOrEmpty).When(t => t.Direction is TrunkDirection.Inbound)
            .WithMessage("An inbound trunk has no 'address': it takes calls; say from where in 'allowed_addresses'.");
        RuleFor(t => t.Address).Custom((address, context) => IsOfProvider(address, context))
            .When(t => t.Direction is TrunkDirection.Outbound && SipAddress.TryParse(t.Address, out _));
        RuleFor(t => t.Numbers).NotNull().Must(n => n is null || n.Count <= MaxNumbers).WithMessage($"There may be up to {MaxNumbers} numbers.");
        RuleFor(t => t.Numbers).NotEmpty().When(t => t.Direction is TrunkDirection.Outbound).WithMessage("'numbers' must have at least one: calls have to show one.");
        RuleForEach(t => t.Numbers).Must(E164.IsValid).WithMessage($"A number {E164.Hint}");
        RuleFor(t => t.Auth!.Username).NotEmpty().MaximumLength(200).When(t => t.Auth is { Password.Length: > 0 }).WithMessage("A password needs a username.");
        RuleFor(t => t.Auth!.Username).MaximumLength(200).When(t => t.Auth is not null);
        RuleFor(t => t.Auth!.Password).MaximumLength(500).When(t => t.Auth is not null);
        RuleFor(t => t.AllowedAddresses).NotNull().Must(a => a is null || a.Count <= MaxAddresses).WithMessage($"There may be up to {MaxAddresses} addresses.");
        RuleForEach(t => t.AllowedAddresses).Must(a => IPAddress.TryParse(a, out _) || IPNetwork.TryParse(a, out _))
            .WithMessage("An allowed address is an IP address or a range such as 54.172.60.0/30.");
        RuleFor(t => t.AllowedAddresses).NotEmpty().When(t => t.Direction is TrunkDirection.Inbound && string.IsNullOrEmpty(t.Auth?.Username))
            .WithMessage("An inbound trunk says who may call: 'allowed_addresses' (the provider lists its own), or 'auth' with username and password.");
        RuleFor(t => t.Register).Equal(false).When(t => t.Direction is TrunkDirection.Inbound || string.IsNullOrEmpty(t.Auth?.Username))
            .WithMessage("'register' is for outbound trunks with 'auth': the provider is told who registers.");
        RuleFor(t => t.MaxConcurrent).InclusiveBetween(1, 10_000);
        RuleFor(t => t.CallsPerSecond).InclusiveBetween(0.01, 1_000);
        RuleFor(t => t.Transport).NotEqual(Transport.Udp).When(t => t is { Type: TrunkType.Exotel, Direction: TrunkDirection.Outbound } && !IsLoopback(t.Address))
            .WithMessage("Exotel takes calls over tcp (port 5070) or tls (port 443), not udp.");
    }

    /// <summary>The settings with every default filled in, or the fields that are wrong.</summary>
    /// <summary>The mask that answers show in a password's place is not one.</summary>
    public static Error? MaskRefusal(JsonElement sent) =>
        sent.ValueKind is JsonValueKind.Object && sent.TryGetProperty("auth", out var auth) && auth.ValueKind is JsonValueKind.Object
        && auth.TryGetProperty("password", out var password) && password.ValueKind is JsonValueKind.String && Mask.IsMasked(password.GetString()!)
            ? Error.Field("auth.password", "masked", "This is the mask that answers show, not a password: leave the field out to keep the password.")
            : null;

    public static Result<TrunkSettings> Read(JsonElement json)
    {
        TrunkSettings settings;
        try
        {
            settings = json.Deserialize<TrunkSettings>(Json.Options) ?? throw new JsonException("null");
        }
        catch (JsonException e)
        {
            return Unreadable(e);
        }

        var outcome = Instance.Validate(settings);
        if (outcome.IsValid)
        {
            return settings with { Address = SipAddress.TryParse(settings.Address, out var address) ? address.ToString() : "", Numbers = [.. settings.Numbers.Distinct()] };
        }

        var fields = outcome.Errors.Select(e => new FieldError(
            string.Join('.', e.PropertyName.Split('.').Select(JsonNamingPolicy.SnakeCaseLower.ConvertName)),
            JsonNamingPolicy.SnakeCaseLower.ConvertName((e.ErrorCode ?? "invalid").Replace("Validator", "", StringComparison.Ordinal)),
            e.ErrorMessage)).ToList();
        return new Error(ErrorKind.Invalid, "request.invalid", fields[0].Message) { Fields = fields };
    }

    private static Error Unreadable(JsonException e)
    {
        var field = e.Path is null or "$" ? "" : e.Path.TrimStart('$', '.');
        if (e.Message.Contains("missing required", StringComparison.Ordinal))
        {
            return Error.Field("name", "required", "'name' is needed.");
        }

        return e.Message.Contains("could not be mapped", StringComparison.Ordinal)
            ? Error.Field(field, "unknown_field", $"'{field}' is not a field of a trunk.")
            : Error.Field(field, "wrong_type", field.Length == 0 ? "The body must be an object with the trunk's fields." : $"'{field}' is not one of what can stand there.");
    }

    private static void IsOfProvider(string address, ValidationContext<TrunkSettings> context)
    {
        if (!SipAddress.TryParse(address, out var parsed))
        {
            return;
        }

        var (isOurs, hint) = context.InstanceToValidate.Type switch
        {
            TrunkType.Twilio => (Twilio().IsMatch(parsed.Host), "A Twilio trunk's termination address ends in pstn.twilio.com, such as my-trunk.pstn.twilio.com."),
            TrunkType.Telnyx => (Telnyx().IsMatch(parsed.Host), "Telnyx takes calls at sip.telnyx.com or a region's name, such as sip.telnyx.eu."),
            TrunkType.Plivo => (parsed.Host.EndsWith(".zt.plivo.com", StringComparison.Ordinal), "A Plivo trunk's termination address ends in zt.plivo.com."),
            TrunkType.Exotel => (parsed.Host.EndsWith(".exotel.com", StringComparison.Ordinal), "Exotel takes calls at names under exotel.com, such as pstn.in2.exotel.com:5070."),
            _ => (true, ""),
        };

        // A provider's stand-in on this machine: the operator's guard decides whether loopback may be called at all.
        if (!isOurs && !IsLoopback(address))
        {
            context.AddFailure("Address", hint);
        }
    }

    private static bool IsLoopback(string? address) => SipAddress.TryParse(address, out var parsed) && parsed.Ip is { } ip && IPAddress.IsLoopback(ip);

    [GeneratedRegex(@"^[a-z0-9-]+\.pstn(\.[a-z0-9-]+)?\.twilio\.com$", RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture)]
    private static partial Regex Twilio();

    [GeneratedRegex(@"^(sip|sip-[a-z]+|[a-z0-9-]+\.sip)\.telnyx\.(com|eu|ca|com\.au)$", RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture)]
    private static partial Regex Telnyx();
}
