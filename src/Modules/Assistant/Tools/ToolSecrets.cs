using System.Text.Json;
using System.Text.RegularExpressions;
using VoicePlatform.Assistants.Data;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Assistants.Tools;

/// <summary>
/// Who may send a secret where. Secrets are an admin's to write and nobody's to read; a tool that could be pointed at any server would read them.
/// </summary>
internal static partial class ToolSecrets
{
    /// <summary>To name a secret in a header, or to send one that is named to another server, takes scope admin.</summary>
    /// <param name="before">The tool as it is; null for a new one.</param>
    public static Error? Refusal(ToolDocument? before, ToolDocument after, Caller caller)
    {
        var named = (Tool.HeadersOf(after) ?? new Dictionary<string, string>()).Where(h => Names(h.Value)).ToList();
        if (named.Count == 0 || caller.Scopes.Contains(Scopes.Admin))
        {
            return null;
        }

        var kept = before is null || IsMoved(before, after) ? null : Tool.HeadersOf(before);
        return named.All(h => kept?.GetValueOrDefault(h.Key) == h.Value) ? null : AssistantErrors.SecretsNeedAdmin;
    }

    /// <summary>Values that were given for one server are not sent to another, unless they are given again or scope admin moves them.</summary>
    public static ToolDocument WithoutMovedValues(ToolDocument before, ToolDocument after, JsonElement patch, Caller caller)
    {
        if (Tool.HeadersOf(after) is not { } headers || !IsMoved(before, after) || caller.Scopes.Contains(Scopes.Admin))
        {
            return after;
        }

        var sent = Sent(patch, after.Webhook is null ? "mcp" : "webhook");
        return Tool.With(after, headers.Where(h => sent.Contains(h.Key)).ToDictionary());
    }

    /// <summary>True of "{{secrets.X}}" and "Bearer {{secrets.X}}": there is no value in it.</summary>
    public static bool IsOnlyNames(string value) => Names(value) && OnlyNames().IsMatch(value);

    private static bool Names(string value) => SecretName().IsMatch(value);

    // Both as it is written, where a placeholder may make the host, and as it is understood.
    private static bool IsMoved(ToolDocument before, ToolDocument after) =>
        UrlOf(before) is { } old && UrlOf(after) is { } url && (Written(old) != Written(url) || Understood(old) != Understood(url));

    private static string? UrlOf(ToolDocument tool) => tool.Webhook?.Url ?? tool.Mcp?.Url;

    private static string Written(string url)
    {
        var start = url.IndexOf("://", StringComparison.Ordinal);
        var end = start < 0 ? -1 : url.AsSpan(start + 3).IndexOfAny("/?#\\");
        return (end < 0 ? url : url[..(start + 3 + end)]).ToLowerInvariant();
    }

    private static string Understood(string url) => new Uri(Placeholder().Replace(url, "x")).GetComponents(UriComponents.SchemeAndServer, UriFormat.SafeUnescaped).ToLowerInvariant();

    private static HashSet<string> Sent(JsonElement patch, string part) =>
        patch.TryGetProperty(part, out var settings) && settings.ValueKind is JsonValueKind.Object
        && settings.TryGetProperty("headers", out var headers) && headers.ValueKind is JsonValueKind.Object
            ? headers.EnumerateObject().Select(h => h.Name).ToHashSet()
            : [];

    [GeneratedRegex(@"\{\{\s*secrets\.", RegexOptions.NonBacktracking)]
    private static partial Regex SecretName();

    [GeneratedRegex(@"^([A-Za-z-]{1,20} )?(\{\{\s*[A-Za-z_][A-Za-z0-9_.]{0,127}\s*\}\})+$", RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture)]
    private static partial Regex OnlyNames();

    [GeneratedRegex(@"\{\{[^{}]*\}\}", RegexOptions.NonBacktracking)]
    private static partial Regex Placeholder();
}
