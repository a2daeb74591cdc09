using System.Text.RegularExpressions;

namespace VoicePlatform.Sessions;

/// <summary>Who uses seed 000: a device, by an id of its own.</summary>
internal static partial class Device000
{
    /// <summary>Null when the id may be a device's.</summary>
    public static Error? RefusalOf(string? deviceId) =>
        deviceId is not null && Id().IsMatch(deviceId) ? null : Error.Field("deviceId", "invalid", "'deviceId' must be 8 to 128 letters, digits, '_' or '-'.");

    [GeneratedRegex(@"^[a-zA-Z0-9_-]{8,128}\z", RegexOptions.NonBacktracking)]
    private static partial Regex Id();
}
