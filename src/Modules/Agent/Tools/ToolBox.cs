namespace VoicePlatform.Agent.Tools;

/// <summary>The tools of one conversation. Opening reaches out (to MCP servers); what does not answer in time is left out and noted.</summary>
internal sealed partial class ToolBox : IDisposable
{
    private const int LongestNote = 500;
    private const int LongestOutcome = 16 * 1024;

    private readonly List<ITool> _tools;
    private readonly IReadOnlyList<McpServer> _servers;
    private readonly Action<string, string> _note;
    private readonly ToolBoxes _owner;
    private Task? _opening;

    /// <param name="note">Told of every call: a kind and what happened, for the session's events.</param>
    public ToolBox(IEnumerable<ITool> tools, IReadOnlyList<McpServer> servers, Action<string, string> note, ToolBoxes owner) =>
        (_tools, _servers, _note, _owner) = ([.. tools], servers, note, owner);

    public bool IsEmpty => _tools.Count == 0 && _servers.Count == 0;

    /// <summary>Again is harmless: there is one opening. Never fails but by cancellation.</summary>
    public Task OpenAsync(CancellationToken ct) => _opening ??= OpenServersAsync(ct);

    public IReadOnlyList<ToolDefinition> Definitions => _tools.ConvertAll(t => t.Definition);

    public ITool? Find(string name) => _tools.Find(t => t.Definition.Name == name);

    /// <summary>Never fails but by cancellation: what goes wrong is the outcome, and the model explains it to the caller.</summary>
    public async Task<ToolOutcome> RunAsync(ToolCall call, CancellationToken ct)
    {
        var started = _owner.Clock.GetTimestamp();
        ToolOutcome outcome;
        try
        {
            outcome = Find(call.Name) is { } tool ? await tool.RunAsync(call.ArgumentsJson, ct) : new ToolOutcome($"There is no tool '{call.Name}'.", Failed: true);
        }
        catch (Exception e)
        {
            ct.ThrowIfCancellationRequested();
            outcome = new ToolOutcome(TextOf(e, call.Name), Failed: true);
        }

        outcome = outcome with { Text = Tools.Short(outcome.Text, LongestOutcome) };
        var took = _owner.Clock.GetElapsedTime(started).TotalMilliseconds;
        _note(outcome.Failed ? "tool.failed" : "tool.called", Tools.Short($"{call.Name} in {took:0} ms: {outcome.Text}", LongestNote));
        return outcome;
    }

    /// <summary>What is open is closed out of the conversation's way: its end waits for nobody's server.</summary>
    public void Dispose()
    {
        if (_servers.Count > 0)
        {
            _owner.Own(CloseAsync());
        }
    }

    private async Task CloseAsync()
    {
        if (_opening is not null)
        {
            await _opening.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await Task.WhenAll(_servers.Select(s => s.CloseAsync()));
    }

    private async Task OpenServersAsync(CancellationToken ct)
    {
        var opened = await Task.WhenAll(_servers.Select(s => TryOpenAsync(s, ct)));
        foreach (var (server, tools, failure) in _servers.Zip(opened, (s, o) => (s, o.Tools, o.Failure)))
        {
            if (failure is not null)
            {
                _note("tool.failed", failure);
            }

            if (server.LeftOut > 0)
            {
                _note("tool.hidden", $"{server.LeftOut} tools of {server.Name} are not used: more than 64, or defined in more than 16 KB.");
            }

            foreach (var tool in tools)
            {
                if (Find(tool.Definition.Name) is null)
                {
                    _tools.Add(tool);
                }
                else
                {
                    _note("tool.hidden", Tools.Short($"{server.Name} has a tool '{tool.Definition.Name}', and so has the assistant: the one that came first is used.", LongestNote));
                }
            }
        }
    }

    private async Task<(IReadOnlyList<ITool> Tools, string? Failure)> TryOpenAsync(McpServer server, CancellationToken ct)
    {
        try
        {
            return (await server.OpenAsync(ct), null);
        }
        catch (Exception e)
        {
            ct.ThrowIfCancellationRequested();
            return ([], Tools.Short(TextOf(e, server.Name), LongestNote));
        }
    }

    /// <summary>Only what was written for the model is told; what another exception says may hold what was sent, secrets included.</summary>
    private string TextOf(Exception e, string name)
    {
        if (e is ToolException)
        {
            return e.Message;
        }

        Unforeseen(_owner.Log, name, e.GetType().Name);
        return $"{name} failed.";
    }

    [LoggerMessage(LogLevel.Warning, "The tool {Tool} failed in a way that was not foreseen: {Error}")]
    private static partial void Unforeseen(ILogger logger, string tool, string error);
}
