namespace VoicePlatform.SharedKernel;

/// <summary>Telephone numbers as ITU-T E.164 writes them: "+", a country code that does not begin with 0, 8 to 15 digits in all.</summary>
public static class E164
{
    public const string Hint = "must be a number in E.164 form, such as +14155550100.";

    private const int MinDigits = 8;
    private const int MaxDigits = 15;

    public static bool IsValid(string? number) =>
        number is ['+', >= '1' and <= '9', ..] && number.Length - 1 is >= MinDigits and <= MaxDigits && !number.AsSpan(1).ContainsAnyExceptInRange('0', '9');

    /// <summary>
    /// What a provider sent as a called or calling number, as E.164 where it is one: "0044…" and "44…" become "+44…", separators go.
    /// Anything else ("anonymous", an extension) comes back as it was.
    /// </summary>
    public static string Normalize(string number)
    {
        var digits = string.Concat(number.Where(c => c is not (' ' or '-' or '(' or ')' or '.')));
        var international = digits.StartsWith("00", StringComparison.Ordinal) ? "+" + digits[2..] : digits.StartsWith('+') ? digits : "+" + digits;
        return IsValid(international) ? international : number;
    }
}
