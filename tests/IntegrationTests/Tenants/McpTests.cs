using System.Net;
using System.Text.Json.Nodes;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Tenants;

/// <summary>The platform as an MCP server, asked by an MCP client.</summary>
internal sealed class McpTests
{
    private TestHost _host = null!;
    private TestTenant _tenant = null!;

    [SetUp]
    public async Task SetUpAsync()
    {
        _host = await TestHost.StartAsync();
        _tenant = await _host.SignUpAsync();
    }

    [TearDown]
    public async Task TearDownAsync() => await _host.DisposeAsync();

    [Test]
    public async Task A_model_manages_assistants_reads_transcripts_and_the_balance()
    {
        await using var client = await ConnectAsync(_tenant.Key);
        var tools = await client.ListToolsAsync();
        Assert.That(tools.Select(t => t.Name), Is.SupersetOf(new[] { "list_assistants", "place_call", "get_call_transcript", "get_balance" }));

        var made = JsonNode.Parse(await SayAsync(client, "create_assistant", new() { ["document"] = new { name = "From MCP", llm = new { model = "local/script" } } }))!;
        var id = made["id"]!.GetValue<string>();
        await SayAsync(client, "update_assistant", new() { ["assistant_id"] = id, ["changes"] = new { description = "changed" } });
        Assert.That((await _tenant.GetAsync($"/v1/assistants/{id}")).Get<string>("description"), Is.EqualTo("changed"));
        Assert.That(JsonNode.Parse(await SayAsync(client, "list_assistants", new() { ["limit"] = 1 }))!["data"]!.AsArray(), Has.Count.EqualTo(1));

        var session = await _tenant.StartTextSessionAsync(id);
        await _tenant.PostAsync($"/v1/sessions/{session}/messages", new { text = "Hello" });
        Assert.That(await SayAsync(client, "get_session_transcript", new() { ["session_id"] = session }), Does.Contain("Hello"));
        Assert.That(JsonNode.Parse(await SayAsync(client, "get_balance", []))!["unit"]!.GetValue<string>(), Is.EqualTo("micro_credit"));
    }

    [Test]
    public async Task The_key_decides_what_may_be_done_and_whose_it_is()
    {
        var reader = (await _tenant.PostAsync("/v1/keys", new { name = "r", scopes = new[] { "read" } })).Get<string>("key");
        var foreign = await (await _host.SignUpAsync("Other")).CreateAssistantAsync();
        await using var client = await ConnectAsync(reader);

        Assert.That(await FailAsync(client, "create_assistant", new() { ["document"] = new { name = "x" } }), Does.Contain("auth.scope_missing"));
        Assert.That(await FailAsync(client, "get_balance", []), Does.Contain("auth.scope_missing"));
        Assert.That(await FailAsync(client, "get_assistant", new() { ["assistant_id"] = foreign }), Does.Contain("assistant.not_found"));
        Assert.That(await FailAsync(client, "get_assistant", new() { ["assistant_id"] = "../billing/balance" }), Does.Contain("not_found"));
        Assert.That(await FailAsync(client, "get_assistant", []), Does.Contain("'assistant_id' is needed"));

        Assert.That((await _host.SendAsync(HttpMethod.Post, "/mcp", null, new { })).Status, Is.EqualTo(HttpStatusCode.Unauthorized));
        Assert.That((await _tenant.PostAsync("/mcp", "nonsense")).Status, Is.EqualTo(HttpStatusCode.BadRequest));
        Assert.That((await _tenant.GetAsync("/mcp")).Status, Is.EqualTo(HttpStatusCode.MethodNotAllowed));
    }

    private async Task<McpClient> ConnectAsync(string key) => await McpClient.CreateAsync(new HttpClientTransport(new HttpClientTransportOptions
    {
        Endpoint = new Uri(_host.Http.BaseAddress!, "/mcp"),
        TransportMode = HttpTransportMode.StreamableHttp,
        AdditionalHeaders = new Dictionary<string, string> { ["x-api-key"] = key },
    }));

    private static async Task<string> SayAsync(McpClient client, string tool, Dictionary<string, object?> arguments)
    {
        var (text, isError) = await CallAsync(client, tool, arguments);
        Assert.That(isError, Is.False, text);
        return text;
    }

    private static async Task<string> FailAsync(McpClient client, string tool, Dictionary<string, object?> arguments)
    {
        var (text, isError) = await CallAsync(client, tool, arguments);
        Assert.That(isError, text);
        return text;
    }

    private static async Task<(string Text, bool IsError)> CallAsync(McpClient client, string tool, Dictionary<string, object?> arguments)
    {
        var result = await client.CallToolAsync(tool, arguments);
        return (result.Content.OfType<TextContentBlock>().Single().Text, result.IsError ?? false);
    }
}
