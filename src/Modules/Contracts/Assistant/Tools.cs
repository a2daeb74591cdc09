using System.Text.Json;

namespace VoicePlatform.Contracts.Assistants;

public enum ToolType
{
    /// <summary>Asks the tenant's server.</summary>
    Webhook,

    /// <summary>Answers a fixed text.</summary>
    Static,

    /// <summary>Asks the caller's own program (RPC over the room).</summary>
    Client,

    /// <summary>Does something of the platform: ends or transfers the call, presses keys.</summary>
    Builtin,

    /// <summary>Brings the tools of an MCP server.</summary>
    Mcp,
}

public enum BuiltinFunction { EndCall, TransferCall, SendDtmf }

public enum WebhookMethod { Get, Post, Put, Patch, Delete }

/// <summary>Something an assistant can do. What belongs to its type is in the field of that name.</summary>
public record ToolDocument
{
    /// <summary>By which the model calls it: letters, digits and '_'.</summary>
    public required string Name { get; init; }

    /// <summary>When and what for: the model decides by this.</summary>
    public string Description { get; init; } = "";
    public required ToolType Type { get; init; }

    /// <summary>The arguments as a JSON Schema of type object; null: none.</summary>
    public JsonElement? Parameters { get; init; }

    /// <summary>What the assistant says while it waits; {{name}} is replaced from the variables.</summary>
    public string Say { get; init; } = "";
    public WebhookTool? Webhook { get; init; }
    public StaticTool? Static { get; init; }
    public ClientTool? Client { get; init; }
    public BuiltinTool? Builtin { get; init; }
    public McpTool? Mcp { get; init; }
}

/// <param name="Url">{{name}} is replaced from the variables, escaped.</param>
/// <param name="Headers">{{secrets.NAME}} and {{name}} are replaced. Values are kept sealed and shown masked.</param>
/// <param name="TimeoutS">1 to 30 seconds.</param>
public sealed record WebhookTool(string Url, WebhookMethod Method = WebhookMethod.Post, IReadOnlyDictionary<string, string>? Headers = null, double TimeoutS = 10);

/// <param name="Result">What the model is told; {{name}} is replaced from the variables.</param>
public sealed record StaticTool(string Result);

/// <param name="Method">The RPC method at the caller's program; the tool's name when left out.</param>
/// <param name="TimeoutS">1 to 30 seconds.</param>
public sealed record ClientTool(string? Method = null, double TimeoutS = 10);

/// <param name="Destinations">transfer_call: where a call may be transferred to (E.164 or sip:), the first when the model names none.</param>
public sealed record BuiltinTool(BuiltinFunction Function, IReadOnlyList<string>? Destinations = null);

/// <param name="Url">The server's streamable HTTP address.</param>
/// <param name="Headers">As a webhook's.</param>
/// <param name="AllowedTools">Those of its tools that may be used; null: all.</param>
/// <param name="TimeoutS">1 to 30 seconds, for each call.</param>
public sealed record McpTool(string Url, IReadOnlyDictionary<string, string>? Headers = null, IReadOnlyList<string>? AllowedTools = null, double TimeoutS = 10);

/// <summary>The tools of an assistant, ready for use: header values opened, {{secrets.NAME}} in them still to be replaced. Ids that are gone are missing.</summary>
public sealed record FindTools(string TenantId, IReadOnlyList<string> ToolIds) : IRequest<Result<ToolSet>>;

public sealed record ToolSet(IReadOnlyList<ToolDocument> Tools);
