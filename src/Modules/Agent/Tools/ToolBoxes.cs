using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Tenants;

namespace VoicePlatform.Agent.Tools;

/// <summary>Puts together the tools of a conversation.</summary>
internal sealed class ToolBoxes(IHttpClientFactory clients, TimeProvider clock, ILoggerFactory logs)
{
    public ToolContext Context(string tenantId, string sessionId, string assistantId, string? callId, IReadOnlyDictionary<string, string> variables) =>
        new(tenantId, sessionId, assistantId, callId, variables, clients, clock);

    /// <summary>What to ask the tenant's secrets for; null when no tool needs any.</summary>
    public static ReadSecrets? SecretsOf(string tenantId, IReadOnlyList<ToolDocument> tools)
    {
        var names = tools.SelectMany(t => t.Webhook?.Headers?.Values ?? t.Mcp?.Headers?.Values ?? []).SelectMany(Placeholder.SecretsIn).ToHashSet();
        return names.Count == 0 ? null : new ReadSecrets(tenantId, names);
    }

    /// <param name="room">Null in a conversation in text.</param>
    /// <param name="note">Told of every call, for the session's events.</param>
    public ToolBox Make(
        IReadOnlyList<ToolDocument> tools, ToolContext context, IReadOnlyDictionary<string, string> secrets, IRoomHands? room, Action<string, string> note)
    {
        var own = new List<ITool>();
        var servers = new List<McpServer>();
        foreach (var tool in tools)
        {
            switch (tool.Type)
            {
                case ToolType.Webhook:
                    own.Add(new WebhookCall(tool, context, secrets));
                    break;
                case ToolType.Static:
                    own.Add(new StaticAnswer(tool, context));
                    break;
                case ToolType.Client:
                    own.Add(new ClientCall(tool, room));
                    break;
                case ToolType.Builtin:
                    own.Add(new Builtin(tool, room));
                    break;
                case ToolType.Mcp:
                    servers.Add(new McpServer(tool, context, secrets, logs));
                    break;
            }
        }

        return new ToolBox(own, servers, note, clock);
    }
}
