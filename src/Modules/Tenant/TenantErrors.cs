namespace VoicePlatform.Tenants;

internal static class TenantErrors
{
    public static readonly Error KeyNotFound = new(ErrorKind.NotFound, "key.not_found", "No such key.");
    public static readonly Error KeyUnusable = new(ErrorKind.Conflict, "key.not_active", "The key has expired, was revoked, or was rotated already.");
    public static readonly Error ScopeNotYours = Error.Field("scopes", "not_yours", "A key gives only scopes that it has itself and that its user's role allows; admin gives admin, operate and read.");
    public static readonly Error NotFound = new(ErrorKind.NotFound, "tenant.not_found", "No such tenant.");
    public static readonly Error UserNotFound = new(ErrorKind.NotFound, "user.not_found", "No such user.");
    public static readonly Error EmailTaken = new(ErrorKind.Conflict, "user.email_taken", "There is a user with this address already.");
    public static readonly Error LastOwner = new(ErrorKind.Conflict, "user.last_owner", "The tenant's last owner stays one: make another user an owner first.");
    public static readonly Error RoleNotYours = new(ErrorKind.Forbidden, "user.role_not_yours", "Only an owner's key makes, changes or removes owners and finance users.");
    public static readonly Error SecretNotFound = new(ErrorKind.NotFound, "secret.not_found", "No such secret.");
    public static readonly Error ChangedMeanwhile = new(ErrorKind.Conflict, "tenant.changed_meanwhile", "Somebody else changed it at the same moment; read it and try again.");
    public static readonly Error KeyCreationClosed = new(ErrorKind.Forbidden, "key.creation_closed", "Keys are made by the operator of this installation.");
    public static Error ServerAnswered(int status) => ServerFailed($"it answered {status}");

    public static Error ServerFailed(string why) => new(ErrorKind.Unavailable, "tenant_server.failed", $"The tenant's server gave no answer that can be used: {why}.");

    public static readonly Error WebhookDisabled = new(ErrorKind.Conflict, "webhook.disabled", "The webhook is disabled: enable it first.");
    public static readonly Error DeliveryNotFound = new(ErrorKind.NotFound, "delivery.not_found", "No such delivery.");
    public static readonly Error EventNotFound = new(ErrorKind.NotFound, "event.not_found", "No such event.");
    public static readonly Error TooManyWebhooks = new(ErrorKind.Conflict, "webhook.too_many", $"A tenant has up to {Data.Webhook.MostPerTenant} webhooks: remove one, or use its filters.");
    public static readonly Error WebhookNotFound = new(ErrorKind.NotFound, "webhook.not_found", "No such webhook.");
}
