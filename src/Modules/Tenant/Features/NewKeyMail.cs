using VoicePlatform.Contracts.Tenants;
using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>Tells a person that a key was made in his name; never the key.</summary>
internal static class NewKeyMail
{
    public static SendMail For(User user, ApiKey key) => new(
        key.TenantId,
        user.Email,
        "Your API key was created",
        $"""
        {user.Name}, an API key was created in your name: "{key.Name}", which ends in {key.Hint}. Its text was shown to whoever created it, and is kept nowhere.

        If that was not you, revoke it with DELETE /v1/keys/{key.Id}, or let the operator of this installation know.
        """);
}
