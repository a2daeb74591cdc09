using System.Net;
using System.Text.Json.Nodes;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Telephony;

/// <summary>Keys in test mode: the built-in phone rings, local models stand in, nothing costs, every event says so.</summary>
[RealTime]
internal sealed class TestModeTests
{
    [Test]
    public async Task The_test_phone_answers_and_talks_with_local_models_for_nothing()
    {
        await using var host = await TestHost.StartWithAgentAsync();
        await using var webhooks = await WebhookReceiver.StartAsync();
        var tester = await TesterAsync(host);
        await tester.PostAsync("/v1/webhooks", new { url = webhooks.Url });
        var before = await tester.BalanceAsync();
        var assistant = await tester.CreateAssistantAsync(new
        {
            name = "Live models", architecture = "half_cascade", realtime = new { model = "openai/gpt-4o-realtime-preview" }, tts = new { model = "cartesia/sonic-3:x" },
            greeting = new { text = "Welcome to the corner bistro.", mode = "instruction" },
        });

        var id = await CallAsync(tester, assistant, "+15005550001");
        var call = await EndedAsync(tester, id);
        Assert.That((Text(call, "status"), call["test"]!.GetValue<bool>(), call["cost"]!["amount"]!.GetValue<long>()), Is.EqualTo(("completed", true, 0L)), call.ToJsonString());
        var lines = (await tester.GetAsync($"/v1/calls/{id}/transcript")).Body!["data"]!.AsArray();
        Assert.That(Text(lines[0]!, "text"), Is.EqualTo("Welcome to the corner bistro."));
        Assert.That(lines.Count(l => Text(l!, "speaker") == "user"), Is.GreaterThanOrEqualTo(2), string.Join(" | ", lines.Select(l => Text(l!, "text"))));
        Assert.That(await tester.BalanceAsync(), Is.EqualTo(before));

        for (var received = await webhooks.NextAsync(); ; received = await webhooks.NextAsync())
        {
            Assert.That(received.Json["test"]!.GetValue<bool>(), Is.True, Text(received.Json, "type"));
            if (Text(received.Json, "type") == "call.completed")
            {
                break;
            }
        }
    }

    [TestCase("+15005550002", "busy")]
    [TestCase("+15005550003", "no_answer")]
    [TestCase("+15005550004", "rejected")]
    public async Task The_number_says_how_the_test_phone_refuses(string number, string status)
    {
        await using var host = await TestHost.StartWithAgentAsync();
        var tester = await TesterAsync(host);
        var call = await EndedAsync(tester, await CallAsync(tester, await tester.CreateAssistantAsync(), number));
        Assert.That((Text(call, "status"), Text(call, "to_number")), Is.EqualTo((status, number)), call.ToJsonString());
    }

    [Test]
    public async Task One_number_hangs_up_after_the_greeting()
    {
        await using var host = await TestHost.StartWithAgentAsync();
        var tester = await TesterAsync(host);
        var id = await CallAsync(tester, await tester.CreateAssistantAsync(new { name = "A", greeting = new { text = "Hello there." } }), "+15005550005");
        var call = await EndedAsync(tester, id);
        Assert.That((Text(call, "status"), Text(call, "ended_reason")), Is.EqualTo(("completed", "caller_left")), call.ToJsonString());
        Assert.That((await tester.GetAsync($"/v1/calls/{id}/transcript")).Body!["data"]!.AsArray().Select(l => Text(l!, "text")), Is.EqualTo(new[] { "Hello there." }));
    }

    [Test]
    public async Task Where_the_media_server_is_another_the_refusal_says_so()
    {
        await using var livekit = await FakeLiveKit.StartAsync();
        await using var host = await TestHost.StartAsync(livekit.Settings);
        var tester = await TesterAsync(host);
        var refused = await tester.PostAsync("/v1/calls", new { assistant_id = await tester.CreateAssistantAsync(), to_number = "+15005550001" });
        Assert.That((refused.Status, refused.Code), Is.EqualTo((HttpStatusCode.UnprocessableEntity, "call.no_test_phone")), refused.Body?.ToJsonString());
        Assert.That(livekit.Dialed, Is.Empty);
    }

    private static async Task<TestTenant> TesterAsync(TestHost host)
    {
        var tenant = await host.SignUpAsync();
        var made = await tenant.PostAsync("/v1/keys", new { name = "test", scopes = new[] { "admin", "finance" }, mode = "test" });
        return tenant.WithKey(made.Get<string>("key"));
    }

    private static async Task<string> CallAsync(TestTenant tester, string assistant, string number)
    {
        var answer = await tester.PostAsync("/v1/calls", new { assistant_id = assistant, to_number = number, ring_timeout_s = 5 });
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.Accepted), answer.Body?.ToJsonString());
        return answer.Get<string>("id");
    }

    private static async Task<JsonNode> EndedAsync(TestTenant tester, string id)
    {
        JsonNode call = null!;
        for (var n = 0; n < 900; n++)
        {
            call = (await tester.GetAsync($"/v1/calls/{id}")).Body!;
            if (call["ended_at"] is not null)
            {
                return call;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System);
        }

        Assert.Fail($"The call did not end: {call.ToJsonString()}");
        return call;
    }

    private static string Text(JsonNode node, string name) => node[name]!.GetValue<string>();
}
