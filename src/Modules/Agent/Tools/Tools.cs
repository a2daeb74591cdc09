using System.Text;
using System.Text.Json;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Tenants;

namespace VoicePlatform.Agent.Tools;

/// <summary>What tools know of the conversation they are used in.</summary>
/// <param name="CallId">Null where no telephone is.</param>
internal sealed record ToolContext(
    string TenantId, string SessionId, string AssistantId, string? CallId, IReadOnlyDictionary<string, string> Variables, AskServer Ask, TimeProvider Clock);

/// <summary>Asks the tenant's server, by the one door to them.</summary>
internal delegate Task<Result<TenantAnswer>> AskServer(AskTenantServer request, CancellationToken ct);

internal static class Tools
{
    private const string NoParameters = """{"type":"object","properties":{}}""";

    public static ToolDefinition Definition(ToolDocument tool) => new(tool.Name, tool.Description, tool.Parameters?.GetRawText() ?? NoParameters);

    /// <exception cref="ToolException">What the model wrote is no object.</exception>
    public static JsonDocument Arguments(string json)
    {
        try
        {
            var arguments = JsonDocument.Parse(json.Length == 0 ? "{}" : json, new JsonDocumentOptions { MaxDepth = 32 });
            if (arguments.RootElement.ValueKind is JsonValueKind.Object)
            {
                return arguments;
            }

            arguments.Dispose();
            throw new ToolException("The arguments must be a JSON object.");
        }
        catch (JsonException e)
        {
            throw new ToolException("The arguments are not JSON that can be read.", e);
        }
    }

    /// <summary>As much of a text as fits into so many bytes of UTF-8, without halves of characters and what a database does not take.</summary>
    public static string Short(string text, int maxBytes)
    {
        var (clean, bytes) = (new StringBuilder(), 0);
        foreach (var rune in text.EnumerateRunes())
        {
            if ((bytes += rune.Utf8SequenceLength) > maxBytes)
            {
                return clean.Append('…').ToString();
            }

            clean.Append(rune.Value == 0 ? " " : rune.ToString());
        }

        return clean.ToString();
    }
}

/// <summary>Answers a fixed text.</summary>
internal sealed class StaticAnswer(ToolDocument tool, ToolContext context) : ITool
{
    public ToolDefinition Definition { get; } = Tools.Definition(tool);

    public string Say => tool.Say;

    public Task<ToolOutcome> RunAsync(string argumentsJson, CancellationToken ct) =>
        Task.FromResult(new ToolOutcome(Placeholder.Fill(tool.Static!.Result, context.Variables)));
}

/// <summary>What the room of a conversation can be asked for. A conversation in text has none.</summary>
internal interface IRoomHands
{
    /// <summary>True on the telephone.</summary>
    bool IsPhone { get; }

    /// <exception cref="ToolException">The caller's program has no such method, refused, or did not answer.</exception>
    Task<string> AskCallerAsync(string method, string payload, TimeSpan timeout, CancellationToken ct);

    Task PressAsync(string keys, CancellationToken ct);
}

/// <summary>Asks the caller's own program over the room.</summary>
internal sealed class ClientCall(ToolDocument tool, IRoomHands? room) : ITool
{
    private readonly ClientTool _client = tool.Client ?? new ClientTool();

    public ToolDefinition Definition { get; } = Tools.Definition(tool);

    public string Say => tool.Say;

    public async Task<ToolOutcome> RunAsync(string argumentsJson, CancellationToken ct)
    {
        using var arguments = Tools.Arguments(argumentsJson);
        return room is null or { IsPhone: true }
            ? throw new ToolException("The caller has no program that could be asked.")
            : new ToolOutcome(await room.AskCallerAsync(_client.Method ?? tool.Name, arguments.RootElement.GetRawText(), TimeSpan.FromSeconds(_client.TimeoutS), ct));
    }
}

/// <summary>What the platform itself does.</summary>
internal sealed class Builtin(ToolDocument tool, IRoomHands? room) : ITool
{
    private const int MostKeys = 64;

    private readonly BuiltinTool _builtin = tool.Builtin!;

    public ToolDefinition Definition { get; } = new(tool.Name, DescriptionOf(tool), ParametersOf(tool.Builtin!));

    public string Say => tool.Say;

    public async Task<ToolOutcome> RunAsync(string argumentsJson, CancellationToken ct)
    {
        using var arguments = Tools.Arguments(argumentsJson);
        switch (_builtin.Function)
        {
            case BuiltinFunction.EndCall:
                return new ToolOutcome("The conversation ends after your next words: say goodbye.") { EndsConversation = true };
            case BuiltinFunction.TransferCall:
                var to = Text(arguments, "destination") ?? _builtin.Destinations![0];
                return room is not { IsPhone: true } ? throw new ToolException("This is no telephone call: it cannot be transferred.")
                    : !_builtin.Destinations!.Contains(to) ? throw new ToolException($"Calls may be transferred to {string.Join(", ", _builtin.Destinations!)} only.")
                    : new ToolOutcome("The call is transferred after your next words: tell the caller.") { TransferTo = to };
            default:
                var keys = Text(arguments, "keys")?.ToUpperInvariant() ?? "";
                if (room is not { IsPhone: true } || keys.Length is 0 or > MostKeys || keys.Any(k => !Worker.Keys.All.Contains(k, StringComparison.Ordinal)))
                {
                    throw new ToolException(room is { IsPhone: true } ? $"'keys' must be 1 to {MostKeys} of {Worker.Keys.All}." : "This is no telephone call: there are no keys to press.");
                }

                await room.PressAsync(keys, ct);
                return new ToolOutcome("The keys were pressed.");
        }
    }

    private static string? Text(JsonDocument arguments, string name) =>
        arguments.RootElement.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.String && value.GetString() is { Length: > 0 } text ? text : null;

    private static string DescriptionOf(ToolDocument tool) => tool.Description.Length > 0 ? tool.Description : tool.Builtin!.Function switch
    {
        BuiltinFunction.EndCall => "Ends the conversation. Use it when the caller is done.",
        BuiltinFunction.TransferCall => "Transfers the call to a person.",
        _ => "Presses keys on the telephone, to get through a menu.",
    };

    private static string ParametersOf(BuiltinTool builtin) => builtin.Function switch
    {
        BuiltinFunction.EndCall => """{"type":"object","properties":{}}""",
        BuiltinFunction.TransferCall => Json.Write(new
        {
            type = "object",
            properties = new { destination = new { type = "string", @enum = builtin.Destinations } },
        }),
        _ => """{"type":"object","properties":{"keys":{"type":"string","description":"0-9, *, # and A-D"}},"required":["keys"]}""",
    };
}
