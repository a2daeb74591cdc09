using System.Text.Json;
using ModelContextProtocol;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Agent.Tools;

/// <summary>An MCP server whose tools the assistant may use; connected for as long as the conversation lasts.</summary>
/// <param name="secrets">The tenant's secrets that the headers name.</param>
internal sealed class McpServer(ToolDocument tool, ToolContext context, IReadOnlyDictionary<string, string> secrets, ILoggerFactory logs) : IAsyncDisposable
{
    private static readonly TimeSpan OpeningPatience = TimeSpan.FromSeconds(3);

    private readonly McpTool _mcp = tool.Mcp!;
    private McpClient? _client;

    public string Name => tool.Name;

    /// <exception cref="ToolException">It does not answer, or not as an MCP server.</exception>
    public async Task<IReadOnlyList<ITool>> OpenAsync(CancellationToken ct)
    {
        using var late = new CancellationTokenSource(OpeningPatience, context.Clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, late.Token);
        try
        {
            var options = new HttpClientTransportOptions
            {
                Endpoint = new Uri(Placeholder.Fill(_mcp.Url, context.Variables, Uri.EscapeDataString)),
                Name = tool.Name,
                TransportMode = HttpTransportMode.StreamableHttp,
                AdditionalHeaders = (_mcp.Headers ?? new Dictionary<string, string>())
                    .ToDictionary(h => h.Key, h => Placeholder.FillSecrets(Placeholder.Fill(h.Value, context.Variables), secrets)),
            };
            var transport = new HttpClientTransport(options, context.Clients.CreateClient(TenantHttp.Client), logs, ownsHttpClient: true);
            _client = await McpClient.CreateAsync(transport, new McpClientOptions { InitializationTimeout = OpeningPatience }, logs, either.Token);
            var tools = await _client.ListToolsAsync(cancellationToken: either.Token);
            return [.. tools.Where(t => _mcp.AllowedTools is null || _mcp.AllowedTools.Contains(t.Name)).Select(t => new Remote(t, this))];
        }
        catch (Exception e) when (e is McpException or HttpRequestException or JsonException or IOException or UriFormatException or TimeoutException || (e is OperationCanceledException && !ct.IsCancellationRequested))
        {
            throw new ToolException($"The MCP server {tool.Name} could not be used: {(e is OperationCanceledException ? "it did not answer in time" : e.Message)}.", e);
        }
    }

    public ValueTask DisposeAsync() => _client?.DisposeAsync() ?? ValueTask.CompletedTask;

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
                var values = arguments.RootElement.EnumerateObject().ToDictionary(a => a.Name, a => (object?)a.Value.Clone());
                var result = await remote.CallAsync(values, cancellationToken: either.Token);
                var text = string.Join('\n', result.Content.OfType<TextContentBlock>().Select(b => b.Text));
                return new ToolOutcome(text.Length > 0 ? text : result.StructuredContent?.ToString() ?? "Done.", result.IsError ?? false);
            }
            catch (OperationCanceledException) when (!ct.IsCancellationRequested)
            {
                throw new ToolException($"{remote.Name} did not answer within {server._mcp.TimeoutS:0.#} s.");
            }
            catch (Exception e) when (e is McpException or HttpRequestException or JsonException or IOException)
            {
                throw new ToolException($"{remote.Name} failed: {e.Message}", e);
            }
        }
    }

    private string SayText => tool.Say;

    private TimeProvider Clock => context.Clock;
}
