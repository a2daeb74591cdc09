using System.Collections.Concurrent;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Agent.Tools;

/// <summary>Puts together the tools of a conversation, and sees to what conversations left behind to be closed.</summary>
internal sealed class ToolBoxes(IHttpMessageHandlerFactory handlers, TimeProvider clock, ILogger<ToolBoxes> log) : IAsyncDisposable
{
    private readonly ConcurrentDictionary<Task, bool> _closing = new();

    public TimeProvider Clock => clock;

    public ILogger Log => log;

    public ToolContext Context(string tenantId, string sessionId, string assistantId, string? callId, IReadOnlyDictionary<string, string> variables, AskServer ask) =>
        new(tenantId, sessionId, assistantId, callId, variables, ask, clock);

    /// <summary>The tenant's secrets that the tools need, by name.</summary>
    public static IEnumerable<string> SecretsOf(IReadOnlyList<ToolDocument> tools) =>
        tools.SelectMany(t => t.Webhook?.Headers?.Values ?? t.Mcp?.Headers?.Values ?? []).SelectMany(Placeholder.SecretsIn);

    /// <param name="room">Null in a conversation in text.</param>
    /// <param name="note">Told of every call, for the session's events.</param>
    public ToolBox Make(
        IReadOnlyList<ToolDocument> documents, ToolContext context, IReadOnlyDictionary<string, string> secrets, IRoomHands? room, Action<string, string> note)
    {
        var tools = new List<ITool>();
        var servers = new List<McpServer>();
        foreach (var tool in documents)
        {
            // A tool is given the secrets that its own headers name, and no others.
            var named = SecretsOf([tool]).ToHashSet();
            var own = secrets.Where(s => named.Contains(s.Key)).ToDictionary();
            switch (tool.Type)
            {
                case ToolType.Webhook:
                    tools.Add(new WebhookCall(tool, context, own));
                    break;
                case ToolType.Static:
                    tools.Add(new StaticAnswer(tool, context));
                    break;
                case ToolType.Client:
                    tools.Add(new ClientCall(tool, room));
                    break;
                case ToolType.Builtin:
                    tools.Add(new Builtin(tool, room));
                    break;
                case ToolType.Mcp:
                    servers.Add(new McpServer(tool, context, own, new HttpClient(new LimitedAnswers(handlers.CreateHandler(TenantHttp.Client)), disposeHandler: false), log));
                    break;
            }
        }

        return new ToolBox(tools, servers, note, this);
    }

    /// <summary>Is seen to its end; the host waits for it when it stops.</summary>
    /// <param name="closing">Never fails, and takes a few seconds at most.</param>
    public void Own(Task closing)
    {
        _closing[closing] = true;
        _ = closing.ContinueWith(done => _closing.TryRemove(done, out _), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    public async ValueTask DisposeAsync() => await Task.WhenAll(_closing.Keys);
}
