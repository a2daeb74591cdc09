
namespace VoicePlatform.Agent.Tools;

/// <summary>The tools of one conversation. Opening reaches out (to MCP servers); what does not answer in time is left out and noted.</summary>
internal sealed class ToolBox : IAsyncDisposable
{
    private const int LongestNote = 500;

    private readonly List<ITool> _tools;
    private readonly IReadOnlyList<McpServer> _servers;
    private readonly Action<string, string> _note;
    private readonly TimeProvider _clock;
    private Task? _opening;

    /// <param name="note">Told of every call: a kind and what happened, for the session's events.</param>
    public ToolBox(IEnumerable<ITool> tools, IReadOnlyList<McpServer> servers, Action<string, string> note, TimeProvider clock) =>
        (_tools, _servers, _note, _clock) = ([.. tools], servers, note, clock);

    public bool IsEmpty => _tools.Count == 0 && _servers.Count == 0;

    /// <summary>Again is harmless: there is one opening.</summary>
    public Task OpenAsync(CancellationToken ct) => _opening ??= OpenServersAsync(ct);

    public IReadOnlyList<ToolDefinition> Definitions => _tools.ConvertAll(t => t.Definition);

    public ITool? Find(string name) => _tools.Find(t => t.Definition.Name == name);

    /// <summary>Never fails but by cancellation: what goes wrong is the outcome, and the model explains it to the caller.</summary>
    public async Task<ToolOutcome> RunAsync(ToolCall call, CancellationToken ct)
    {
        var started = _clock.GetTimestamp();
        ToolOutcome outcome;
        try
        {
            outcome = Find(call.Name) is { } tool ? await tool.RunAsync(call.ArgumentsJson, ct) : new ToolOutcome($"There is no tool '{call.Name}'.", Failed: true);
        }
        catch (ToolException e)
        {
            outcome = new ToolOutcome(e.Message, Failed: true);
        }

        var took = _clock.GetElapsedTime(started).TotalMilliseconds;
        _note(outcome.Failed ? "tool.failed" : "tool.called", Short($"{call.Name} in {took:0} ms: {outcome.Text}"));
        return outcome;
    }

    public async ValueTask DisposeAsync()
    {
        if (_opening is not null)
        {
            await _opening.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        foreach (var server in _servers)
        {
            await server.DisposeAsync();
        }
    }

    private async Task OpenServersAsync(CancellationToken ct)
    {
        foreach (var server in _servers)
        {
            try
            {
                foreach (var tool in await server.OpenAsync(ct))
                {
                    if (Find(tool.Definition.Name) is null)
                    {
                        _tools.Add(tool);
                    }
                    else
                    {
                        _note("tool.hidden", $"{server.Name} has a tool '{tool.Definition.Name}', and so has the assistant: the assistant's own is used.");
                    }
                }
            }
            catch (ToolException e)
            {
                _note("tool.failed", Short(e.Message));
            }
        }
    }

    private static string Short(string text) => text.Length <= LongestNote ? text : text[..(LongestNote - 1)] + "…";
}
