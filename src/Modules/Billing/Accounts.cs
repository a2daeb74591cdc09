namespace VoicePlatform.Billing;

/// <summary>The accounts there are: two of each tenant's, and the platform's on the other side.</summary>
internal static class Accounts
{
    public static readonly IReadOnlyList<string> All =
        ["available", "held", "platform:funding", "platform:promotional", "platform:revenue", "platform:uncollected", "platform:adjustments"];

    /// <summary>Why an account is refused; null for one that there is, or none at all.</summary>
    public static Error? Refusal(string field, string? account) =>
        account is null || All.Contains(account) ? null : Error.Field(field, "unknown", $"'{field}' must be one of {string.Join(", ", All)}.");
}

/// <inheritdoc/>
internal sealed class AccountWordsAttribute() : WordsAttribute(Accounts.All);
