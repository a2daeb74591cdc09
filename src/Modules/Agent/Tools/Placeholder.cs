namespace VoicePlatform.Agent.Tools;

/// <summary>{{name}} and {{secrets.NAME}} in what a tool sends. An unknown name stays as it is.</summary>
internal static class Placeholder
{
    private const string SecretPrefix = "secrets.";

    public static string Fill(string text, IReadOnlyDictionary<string, string> variables, Func<string, string>? encode = null) =>
        Template.Fill(text, name => variables.TryGetValue(name, out var value) ? encode?.Invoke(value) ?? value : null);

    /// <summary>The secrets that a text asks for.</summary>
    public static IEnumerable<string> SecretsIn(string text) => Template.NamesIn(text)
        .Where(n => n.StartsWith(SecretPrefix, StringComparison.Ordinal))
        .Select(n => n[SecretPrefix.Length..]);

    /// <summary>Variables and secrets in one pass: what a caller said is never read as a template.</summary>
    /// <exception cref="ToolException">A secret that is not there: nobody is asked without it.</exception>
    public static string FillHeader(string text, IReadOnlyDictionary<string, string> variables, IReadOnlyDictionary<string, string> secrets) => Template.Fill(
        text, name => !name.StartsWith(SecretPrefix, StringComparison.Ordinal) ? variables.GetValueOrDefault(name)
            : secrets.TryGetValue(name[SecretPrefix.Length..], out var value) ? value
            : throw new ToolException($"The tool needs the secret {name[SecretPrefix.Length..]}, which the tenant does not have."));
}
