namespace VoicePlatform.SharedKernel;

/// <summary>What answers show in a secret's place. Sent back, it is refused: a form that was read and saved must not overwrite the secret with its mask.</summary>
public static class Mask
{
    public const string Text = "********";

    /// <summary>Stars or bullets only, as masks are written here and elsewhere.</summary>
    public static bool IsMasked(string value) => value.Length > 0 && value.All(c => c is '*' or '•' or '●');
}
