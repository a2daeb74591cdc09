namespace VoicePlatform.Tenants;

internal static class TenantErrors
{
    public static readonly Error KeyNotFound = new(ErrorKind.NotFound, "key.not_found", "No such key.");
    public static readonly Error TenantNotFound = new(ErrorKind.NotFound, "tenant.not_found", "No such tenant.");
    public static readonly Error UserNotFound = new(ErrorKind.NotFound, "user.not_found", "No such user.");
    public static readonly Error KeyCreationClosed = new(ErrorKind.Forbidden, "key.creation_closed", "Keys are made by the operator of this installation.");
    public static Error ServerAnswered(int status) => ServerFailed($"it answered {status}");

    public static Error ServerFailed(string why) => new(ErrorKind.Unavailable, "tenant_server.failed", $"The tenant's server gave no answer that can be used: {why}.");

    public static readonly Error WebhookNotFound = new(ErrorKind.NotFound, "webhook.not_found", "No such webhook.");
}
