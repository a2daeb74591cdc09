using System.Net;
using System.Text.Json.Nodes;
using VoicePlatform.IntegrationTests.Assistants;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Billing;

/// <summary>Who brings his own key pays the provider himself, and the platform less.</summary>
internal sealed class OwnKeyTests
{
    private TenantServer _server = null!;
    private TestHost _host = null!;
    private TestTenant _tenant = null!;
    private string _assistant = "";

    [SetUp]
    public async Task SetUpAsync()
    {
        _server = await TenantServer.StartAsync();
        _server.Chat = _ =>
        [
            new { id = "1", @object = "chat.completion.chunk", created = 1, model = "m", choices = new[] { new { index = 0, delta = new { content = "Hello." }, finish_reason = "stop" } }, usage = new { prompt_tokens = 2_000, completion_tokens = 500, total_tokens = 2_500 } },
        ];
        _host = await TestHost.StartAsync(("OPENAI_API_KEY", "sk-operator"), ("OPENAI_BASE_URL", $"{_server.Url}/v1"));
        _tenant = await _host.SignUpAsync();
        _assistant = (await _tenant.PostAsync("/v1/assistants", new { name = "A", llm = new { model = "openai/gpt-test" } })).Get<string>("id");
    }

    [TearDown]
    public async Task TearDownAsync()
    {
        await _host.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Test]
    public async Task Tokens_by_the_tenants_own_key_cost_what_the_card_leaves_of_their_price()
    {
        Assert.That(await LinesAsync(await TalkAsync()), Is.EqualTo(new[] { "llm_input 2000 300000/1000000 600", "llm_output 500 1200000/1000000 600", "message 1 10000/1 10000" }));

        // Given in the middle of a conversation: what came before is the operator's, and both are told apart for good.
        var session = await _tenant.StartTextSessionAsync(_assistant);
        await SayAsync(session);
        await BringKeyAsync();
        await SayAsync(session);
        await _tenant.PostAsync($"/v1/sessions/{session}/end");
        Assert.That(_server.Asked.Select(a => a.Headers["authorization"]), Is.EqualTo(new[] { "Bearer sk-operator", "Bearer sk-operator", "Bearer sk-tenant" }));
        Assert.That(await LinesAsync(session), Is.EqualTo(new[]
        {
            "llm_input 2000 300000/1000000 600", "llm_input:own_key 2000 0/1000000 0", "llm_output 500 1200000/1000000 600", "llm_output:own_key 500 0/1000000 0", "message 2 10000/1 20000",
        }));
        var usage = (await _tenant.GetAsync($"/v1/sessions/{session}/usage")).Body!["data"]!.AsArray();
        Assert.That(
            usage.Where(u => u!["component"]!.GetValue<string>() == "llm_input").Select(u => (u!["own_key"]!.GetValue<bool>(), u["quantity"]!.GetValue<long>())),
            Is.EqualTo(new[] { (false, 2_000L), (true, 2_000L) }));

        // Another card, another discount: a quarter less, rounded once.
        var made = await _host.SendAsync(HttpMethod.Post, "/v1/billing/rate-cards", TestHost.AdminKey, new { tenant_id = _tenant.TenantId, own_key_discount_percent = 25 });
        Assert.That((made.Status, made.Get<int>("own_key_discount_percent")), Is.EqualTo((HttpStatusCode.Created, 25)));
        Assert.That(await LinesAsync(await TalkAsync()), Is.EqualTo(new[] { "llm_input:own_key 2000 900000/4000000 450", "llm_output:own_key 500 3600000/4000000 450", "message 1 10000/1 10000" }));

        var quote = await _tenant.PostAsync("/v1/billing/quote", new { kind = "text", messages = 1, llm_input_tokens = 2_000, llm_output_tokens = 500, own_key = true });
        Assert.That(quote.Body!["lines"]!.AsArray().Select(l => Line(l!)), Is.EqualTo(new[] { "llm_input:own_key 2000 900000/4000000 450", "llm_output:own_key 500 3600000/4000000 450", "message 1 10000/1 10000" }));
        Assert.That((await _tenant.GetAsync("/v1/billing/verify")).Get<bool>("ok"), Is.True);
    }

    private async Task<string> TalkAsync()
    {
        var session = await _tenant.StartTextSessionAsync(_assistant);
        await SayAsync(session);
        await _tenant.PostAsync($"/v1/sessions/{session}/end");
        return session;
    }

    private async Task SayAsync(string session) =>
        Assert.That((await _tenant.PostAsync($"/v1/sessions/{session}/messages", new { text = "Hi" })).Get<string>("text"), Is.EqualTo("Hello."));

    private async Task BringKeyAsync() =>
        Assert.That((int)(await _host.SendAsync(HttpMethod.Put, "/v1/secrets/OPENAI_API_KEY", _tenant.Key, new { value = "sk-tenant" })).Status, Is.InRange(200, 204));

    private async Task<List<string>> LinesAsync(string session) =>
        (await _tenant.GetAsync($"/v1/billing/transactions?kind=charge&subject_id={session}")).Body!["data"]![0]!["entries"]!.AsArray()
        .Where(e => e!["component"] is not null).Select(e => Line(e!)).ToList();

    private static string Line(JsonNode l) => $"{l["component"]} {l["quantity"]} {l["rate"]}/{l["per"]} {l["amount"]}";
}
