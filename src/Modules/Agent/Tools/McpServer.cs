using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using ModelContextProtocol;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Agent.Tools;

/// <summary>An MCP server whose tools the assistant may use; connected for as long as the conversation lasts.</summary>
/// <param name="secrets">The tenant's secrets that the headers name.</param>
/// <param name="http">For this server alone; closed with it.</param>
internal sealed partial class McpServer(ToolDocument tool, ToolContext context, IReadOnlyDictionary<string, string> secrets, HttpClient http, ILogger log)
{
    private const int MostTools = 64;
    private const int MostPages = 16;
    private const int LongestDefinition = 16 * 1024;

    private static readonly TimeSpan OpeningPatience = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan ClosingPatience = TimeSpan.FromSeconds(2);

    private readonly McpTool _mcp = tool.Mcp!;
    private Task<McpClient>? _connecting;

    public string Name => tool.Name;

    /// <summary>How many of its tools are not used, being too many or too large.</summary>
    public int LeftOut { get; private set; }

    /// <exception cref="ToolException">It does not answer, or not as an MCP server.</exception>
    public async Task<IReadOnlyList<ITool>> OpenAsync(CancellationToken ct)
    {
        using var late = new CancellationTokenSource(OpeningPatience, context.Clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, late.Token);
        try
        {
            // Waited for here: what the SDK does to clean up after a failure is not held to the token.
            _connecting = ConnectAsync(either.Token);
            return await ListAsync(await _connecting.WaitAsync(either.Token), either.Token);
        }
        catch (Exception e) when (e is not OperationCanceledException || !ct.IsCancellationRequested)
        {
            throw new ToolException($"The MCP server {tool.Name} could not be used: {Why(e)}", e);
        }
    }

    /// <summary>Never fails and takes no longer than two seconds.</summary>
    public async Task CloseAsync()
    {
        try
        {
            await DisconnectAsync().WaitAsync(ClosingPatience, context.Clock);
        }
        catch (Exception e)
        {
            NotClosed(log, tool.Name, context.SessionId, e.GetType().Name);
        }
        finally
        {
            http.Dispose();
        }
    }

    private Task<McpClient> ConnectAsync(CancellationToken ct)
    {
        var options = new HttpClientTransportOptions
        {
            Endpoint = new Uri(Placeholder.Fill(_mcp.Url, context.Variables, Uri.EscapeDataString)),
            Name = tool.Name,
            TransportMode = HttpTransportMode.StreamableHttp,
            AdditionalHeaders = ToolHeaders.Fill(_mcp.Headers, context.Variables, secrets),

            // Nothing is wanted of it unasked, and ending its session is a request that nothing cancels: it forgets the session by itself.
            EnableStandaloneGetStream = false,
            OwnsSession = false,
        };

        // The SDK logs nothing: what it says of a failure may have a header's value in it.
        var transport = new HttpClientTransport(options, http, NullLoggerFactory.Instance, ownsHttpClient: false);
        return McpClient.CreateAsync(transport, new McpClientOptions { InitializationTimeout = OpeningPatience }, NullLoggerFactory.Instance, ct);
    }

    private async Task<IReadOnlyList<ITool>> ListAsync(McpClient client, CancellationToken ct)
    {
        var tools = new List<ITool>();
        string? next = null;
        for (var page = 0; page < MostPages && (page == 0 || next is not null); page++)
        {
            var listed = await client.ListToolsAsync(new ListToolsRequestParams { Cursor = next }, ct);
            foreach (var remote in listed.Tools.Where(t => _mcp.AllowedTools is null || _mcp.AllowedTools.Contains(t.Name)))
            {
                if (tools.Count < MostTools && remote.InputSchema.GetRawText().Length + (remote.Description?.Length ?? 0) <= LongestDefinition)
                {
                    tools.Add(new Remote(new McpClientTool(client, remote), this));
                }
                else
                {
                    LeftOut++;
                }
            }

            next = listed.NextCursor;
        }

        return tools;
    }

    private async Task DisconnectAsync()
    {
        if (_connecting is null)
        {
            return;
        }

        await ((Task)_connecting).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (_connecting.IsCompletedSuccessfully)
        {
            await (await _connecting).DisposeAsync();
        }
    }

    /// <summary>In words of ours where the exception's may hold what was sent.</summary>
    private static string Why(Exception e) => e switch
    {
        ToolException or McpException or HttpRequestException => e.Message,
        OperationCanceledException or TimeoutException => "it did not answer in time.",
        UriFormatException => "its address is no URL with these variables.",
        JsonException or IOException => "its answer cannot be read.",
        _ => "it failed.",
    };

    [LoggerMessage(LogLevel.Information, "The MCP server {Tool} of session {SessionId} could not be closed: {Error}")]
    private static partial void NotClosed(ILogger logger, string tool, string sessionId, string error);

    private sealed class Remote(McpClientTool remote, McpServer server) : ITool
    {
        public ToolDefinition Definition { get; } = new(remote.Name, remote.Description ?? "", remote.JsonSchema.GetRawText());

        public string Say => server.SayText;

        public async Task<ToolOutcome> RunAsync(string argumentsJson, CancellationToken ct)
        {
            using var arguments = Tools.Arguments(argumentsJson);
            using var late = new CancellationTokenSource(TimeSpan.FromSeconds(server._mcp.TimeoutS), server.Clock);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, late.Token);
            try
            {
                var values = new Dictionary<string, object?>();
                foreach (var argument in arguments.RootElement.EnumerateObject())
                {
                    values[argument.Name] = argument.Value.Clone();
                }

                var result = await remote.CallAsync(values, cancellationToken: either.Token).AsTask().WaitAsync(either.Token);
                var text = string.Join('\n', result.Content.OfType<TextContentBlock>().Select(b => b.Text));
                return new ToolOutcome(text.Length > 0 ? text : result.StructuredContent?.ToString() ?? "Done.", result.IsError ?? false);
            }
            catch (OperationCanceledException) when (!ct.IsCancellationRequested)
            {
                throw new ToolException($"{remote.Name} did not answer within {server._mcp.TimeoutS:0.#} s.");
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                throw new ToolException($"{remote.Name} failed: {Why(e)}", e);
            }
        }
    }

    private string SayText => tool.Say;

    private TimeProvider Clock => context.Clock;
}
