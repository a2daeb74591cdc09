namespace VoicePlatform.Agent.Tools;

/// <summary>The headers of a tool's requests.</summary>
internal static class ToolHeaders
{
    /// <summary>The values with variables and secrets filled in.</summary>
    /// <exception cref="ToolException">A secret is missing, or a header cannot be sent with what was filled in; the text never has its value.</exception>
    public static Dictionary<string, string> Fill(
        IReadOnlyDictionary<string, string>? headers, IReadOnlyDictionary<string, string> variables, IReadOnlyDictionary<string, string> secrets)
    {
        var filled = new Dictionary<string, string>();
        using var trial = new HttpRequestMessage();
        foreach (var (name, template) in headers ?? new Dictionary<string, string>())
        {
            var value = Placeholder.FillHeader(template, variables, secrets);

            // Anything else could begin a header or a request of its own.
            if (!value.All(c => c is >= ' ' and <= '~'))
            {
                throw new ToolException($"The header {name} would have characters that a header cannot have.");
            }

            if (!trial.Headers.TryAddWithoutValidation(name, value))
            {
                throw new ToolException($"The header {name} cannot be sent with a request.");
            }

            filled[name] = value;
        }

        return filled;
    }
}
