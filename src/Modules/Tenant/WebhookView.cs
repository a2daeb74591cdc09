using System.Text.Json.Serialization;
using VoicePlatform.Tenants.Data;
using VoicePlatform.Tenants.Events;

namespace VoicePlatform.Tenants;

/// <summary>A webhook as the API shows it.</summary>
/// <param name="FailingSince">The first failure since the last success; null while deliveries arrive.</param>
/// <param name="PublicKey">What verifies "v1a" signatures; ed25519 only.</param>
/// <param name="OverlapUntil">Until when the secret before the present one signs as well.</param>
/// <param name="Secret">Only where it has just been made.</param>
internal sealed record WebhookView(
    string Id, string Url, string Description, IReadOnlyList<string> EventTypes, WebhookStatus Status, DateTimeOffset? DisabledAt, DisabledReason? DisabledReason,
    DateTimeOffset? FailingSince, Signing Signing, string? PublicKey, DateTimeOffset? OverlapUntil, DateTimeOffset CreatedAt,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Secret, int Revision)
{
    public static WebhookView Of(Webhook w, DateTimeOffset now, string? secret = null) => new(
        w.Id, w.Url, w.Description, w.EventTypes, w.DisabledAt is null ? WebhookStatus.Enabled : WebhookStatus.Disabled, w.DisabledAt, w.DisabledReason,
        w.FailingSince, w.Signing, w.PublicKey, w.PreviousUntil > now ? w.PreviousUntil : null, w.CreatedAt, secret, w.Revision);

    public static IResult Answer(WebhookView view, HttpContext http, int status = StatusCodes.Status200OK) =>
        Etag.Answer(http, view, view.Revision, status, $"/v1/webhooks/{view.Id}");
}

internal enum WebhookStatus { Enabled, Disabled }

/// <summary>What a webhook's fields may be.</summary>
internal static class WebhookRules
{
    public static IRuleBuilderOptions<T, string?> IsReceiver<T>(this IRuleBuilder<T, string?> url, OutboundGuard guard) => url
        .MaximumLength(Webhook.UrlMaxLength)
        .Must((_, u, context) =>
        {
            var refusal = u is null ? null : guard.RefusalOf(u);
            context.MessageFormatter.AppendArgument("Refusal", refusal);
            return refusal is null;
        })
        .WithMessage("{Refusal}").WithErrorCode("not_allowed");

    public static void AreEventFilters<T>(this AbstractValidator<T> validator, System.Linq.Expressions.Expression<Func<T, IEnumerable<string>?>> types)
    {
        validator.RuleForEach(types).Must(EventTypes.IsFilter).WithErrorCode("unknown")
            .WithMessage("An event type is one of those that GET /v1/webhooks/event-types lists, or all of a kind, as 'call.*'.");
        validator.RuleFor(types).Must(t => t is null || t.Count() <= Webhook.MaxEventTypes).WithMessage($"'event_types' may name up to {Webhook.MaxEventTypes} types.");
    }
}
