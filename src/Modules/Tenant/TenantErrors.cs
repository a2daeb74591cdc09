namespace VoicePlatform.Tenants;

internal static class TenantErrors
{
    public static readonly Error KeyNotFound = new(ErrorKind.NotFound, "key.not_found", "No such key.");
    public static readonly Error KeyCreationClosed = new(ErrorKind.Forbidden, "key.creation_closed", "Keys are made by the operator of this installation.");
    public static Error ServerAnswered(int status) => ServerFailed($"it answered {status}");

    public static Error ServerFailed(string why) => new(ErrorKind.Unavailable, "tenant_server.failed", $"The tenant's server gave no answer that can be used: {why}.");

    public static readonly Error WebhookDisabled = new(ErrorKind.Conflict, "webhook.disabled", "The webhook is disabled: enable it first.");
    public static readonly Error DeliveryNotFound = new(ErrorKind.NotFound, "delivery.not_found", "No such delivery.");
    public static readonly Error EventNotFound = new(ErrorKind.NotFound, "event.not_found", "No such event.");
    public static readonly Error WebhookNotFound = new(ErrorKind.NotFound, "webhook.not_found", "No such webhook.");
}
