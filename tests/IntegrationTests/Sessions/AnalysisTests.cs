using System.Net;
using System.Text.Json.Nodes;
using VoicePlatform.IntegrationTests.Assistants;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Sessions;

/// <summary>What is found out about conversations that are over: by a model that speaks OpenAI's protocol, and by scripts. One test after the other, on one host.</summary>
[FixtureLifeCycle(LifeCycle.SingleInstance)]
[Parallelizable(ParallelScope.Self)]
internal sealed class AnalysisTests
{
    private const string Booked = """{"summary":"Ada booked a table.","success":true,"success_reason":"A table is booked.","fields":{"guests":4,"day":"friday","vegetarian":false}}""";

    private static readonly object Asked = new
    {
        success = "The caller has a table.",
        fields = new object[]
        {
            new { name = "guests", type = "number", description = "How many come" }, new { name = "day", options = new[] { "Thursday", "Friday" } },
            new { name = "vegetarian", type = "boolean" }, new { name = "phone" },
        },
        llm = new { model = "openai/gpt-test" },
    };

    private TenantServer _server = null!;
    private TestHost _host = null!;
    private TestTenant _tenant = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        _server = await TenantServer.StartAsync();
        _host = await TestHost.StartAsync(("OPENAI_API_KEY", "key"), ("OPENAI_BASE_URL", $"{_server.Url}/v1"));
    }

    [SetUp]
    public async Task SetUpAsync()
    {
        _server.Asked.Clear();
        _server.Chat = _ => Call(Booked);
        _tenant = await _host.SignUpAsync();
    }

    [OneTimeTearDown]
    public async Task EndAsync()
    {
        await _host.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Test]
    public async Task A_conversation_is_analysed_when_it_is_over_told_of_and_paid_for_once()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        var webhook = await _tenant.PostAsync("/v1/webhooks", new { url = receiver.Url, event_types = new[] { "analysis.*" } });
        var session = await TalkAsync(await AssistantAsync(Asked), metadata: new { order = "4711" });

        var told = await receiver.NextAsync();
        Assert.That(told.IsSignedWith(webhook.Get<string>("secret")), Is.True);
        Assert.That((told.Json["type"]!.GetValue<string>(), told.Json["subject_id"]!.GetValue<string>()), Is.EqualTo(("analysis.ready", session)));
        Assert.That(told.Json["data"]!["metadata"]!.ToJsonString(), Is.EqualTo("""{"order":"4711"}"""));
        var analysis = (await _tenant.GetAsync($"/v1/sessions/{session}/analysis")).Body!;
        Assert.That(JsonNode.DeepEquals(told.Json["data"]!["analysis"], analysis), $"{told.Json}\n{analysis}");
        Assert.That(
            (Text(analysis, "status"), Text(analysis, "summary"), analysis["success"]!.GetValue<bool>(), Text(analysis, "success_reason"), Text(analysis, "model")),
            Is.EqualTo(("ready", "Ada booked a table.", true, "A table is booked.", "openai/gpt-test")));
        Assert.That(analysis["fields"]!.ToJsonString(), Is.EqualTo("""{"day":"Friday","phone":null,"guests":4,"vegetarian":false}"""), "an option as it was given, what was not said as null");

        // What the model was asked: the conversation as it was, and the form.
        var asked = _server.Asked.Single(a => a.PathAndQuery == "/v1/chat/completions").Body!;
        Assert.That(asked["messages"]!.AsArray()[^1]!["content"]!.ToString(), Does.Contain("Caller: A table for four, please.\nAssistant: It is yours.\nCaller: bye\nAssistant: Goodbye."));
        var form = asked["tools"]!.AsArray().Single()!["function"]!["parameters"]!;
        Assert.That(form["properties"]!["fields"]!["properties"]!["day"]!["enum"]!.ToJsonString(), Is.EqualTo("""["Thursday","Friday"]"""));

        // What it used is of the session, charged on top of what its end was charged, and told as such.
        var usage = (await _tenant.GetAsync($"/v1/sessions/{session}/usage?by_turn=true")).Body!["data"]!.AsArray();
        Assert.That(usage.Where(u => u!["turn"]!.GetValue<int>() == -1).Select(u => (Text(u!, "component"), u!["quantity"]!.GetValue<long>())), Is.EquivalentTo(new[] { ("llm_cached_input", 0L), ("llm_input", 2_000L), ("llm_output", 100L) }));
        Assert.That(() => EventsAsync("session.adjusted"), Has.Count.EqualTo(1).After(20_000, 50));
        var adjusted = (await EventsAsync("session.adjusted")).Single()["data"]!["adjustment"]!["amount"]!.GetValue<long>();
        Assert.That(adjusted, Is.Positive);
        var cost = (await _tenant.GetAsync($"/v1/sessions/{session}")).Get<long>("cost");
        Assert.That((cost, await SpentAsync(session)), Is.EqualTo((20_000 + adjusted, cost)));
        Assert.That((await _tenant.GetAsync("/v1/billing/verify")).Get<bool>("ok"), Is.True);
        Assert.That((await _tenant.BalanceAsync()).Held, Is.Zero);
    }

    [Test]
    public async Task A_model_that_writes_nonsense_is_told_so_and_asked_once_more()
    {
        _server.Chat = body => Call(body["messages"]!.AsArray().Any(m => m!["role"]!.ToString() == "tool") ? Booked : """{"summary":"x","success":true,"fields":{"day":"Sunday"}}""");
        var better = await AnalysisAsync(await TalkAsync(await AssistantAsync(Asked)));
        Assert.That((Text(better, "status"), Text(better["fields"]!, "day")), Is.EqualTo(("ready", "Friday")));
        Assert.That(_server.Asked.Last().Body!["messages"]!.AsArray()[^1]!["content"]!.ToString(), Does.Contain("'day' must be one of 'Thursday', 'Friday'"));

        // Not every model calls functions: JSON in its words is as good.
        _server.Chat = _ => [Chunk(new { content = $"Here you are:\n```json\n{Booked}\n```" }), Finish("stop")];
        Assert.That(Text(await AnalysisAsync(await TalkAsync(await AssistantAsync(Asked))), "summary"), Is.EqualTo("Ada booked a table."));

        _server.Chat = _ => [Chunk(new { content = "I would rather not." }), Finish("stop")];
        var session = await TalkAsync(await AssistantAsync(Asked));
        var failed = await AnalysisAsync(session);
        Assert.That((Text(failed, "status"), failed["summary"]), Is.EqualTo(("failed", (JsonNode?)null)));
        Assert.That(Text(failed, "error"), Does.Contain("cannot be read"));
        Assert.That(() => EventsAsync("analysis.failed"), Has.Count.EqualTo(1).After(20_000, 50));
        Assert.That(await SpentAsync(session), Is.GreaterThan(20_000), "the model's work was used all the same");
    }

    [Test]
    public async Task A_model_that_is_away_is_asked_again_and_a_host_that_died_meanwhile_has_it_made_by_the_next()
    {
        var tries = 0;
        _server.Chat = _ => Interlocked.Increment(ref tries) == 1 ? [] : Call(Booked);     // An answer that ends before it began.
        var session = await TalkAsync(await AssistantAsync(Asked));
        Assert.That(async () => await _host.SqlAsync("SELECT attempts FROM session.analyses WHERE session_id = $1 AND leased_until IS NULL", session), Is.EqualTo(1).After(10_000, 50));
        Assert.That(Text((await _tenant.GetAsync($"/v1/sessions/{session}/analysis")).Body!, "status"), Is.EqualTo("pending"));
        Assert.That((await _tenant.PostAsync($"/v1/sessions/{session}/analysis")).Code, Is.EqualTo("analysis.pending"));

        // As if a host had taken it up and died: its lease is over.
        await _host.SqlAsync("UPDATE session.analyses SET leased_until = now() - interval '1 s', next_attempt_at = now() - interval '1 s' WHERE session_id = $1", session);
        Assert.That(Text(await AnalysisAsync(session), "summary"), Is.EqualTo("Ada booked a table."));

        _server.Chat = _ => Call(Booked.Replace("Ada", "Somebody", StringComparison.Ordinal));
        Assert.That((await _tenant.PostAsync($"/v1/sessions/{session}/analysis")).Status, Is.EqualTo(HttpStatusCode.Accepted));
        Assert.That(Text(await AnalysisAsync(session), "summary"), Is.EqualTo("Somebody booked a table."));
        Assert.That(() => EventsAsync("analysis.ready"), Has.Count.EqualTo(2).After(20_000, 50));
    }

    [Test]
    public async Task What_is_held_for_it_is_in_use_until_it_is_made()
    {
        _server.Chat = _ => [];
        var session = await TalkAsync(await AssistantAsync(Asked));
        Assert.That(async () => await _host.SqlAsync("SELECT attempts FROM session.analyses WHERE session_id = $1 AND leased_until IS NULL", session), Is.EqualTo(1).After(10_000, 50));
        var hold = Text((await _tenant.GetAsync("/v1/billing/holds?status=active")).Body!["data"]!.AsArray().Single()!, "id");
        Assert.That(await _tenant.DifferencesAsync(), Is.Empty);
        Assert.That((await ReleaseAsync()).Code, Is.EqualTo("billing.hold_in_use"));

        // What nobody settles when it is over is found and given back, as any other.
        await _host.SqlAsync("UPDATE session.analyses SET status = 'failed', error = 'lost', ended_at = now() WHERE session_id = $1", session);
        Assert.That(await _tenant.DifferencesAsync(), Is.EqualTo(["hold_open"]));
        Assert.That((await ReleaseAsync()).Status, Is.EqualTo(HttpStatusCode.OK));
        Assert.That(await _tenant.DifferencesAsync(), Is.Empty);
        Assert.That((await _tenant.BalanceAsync()).Held, Is.Zero);

        Task<Answer> ReleaseAsync() => _host.SendAsync(HttpMethod.Post, $"/v1/billing/holds/{hold}/release", TestHost.AdminKey, new { reason = "it is not settled" });
    }

    [Test]
    public async Task It_can_be_asked_for_afterwards_with_other_questions_and_not_without_credits()
    {
        var session = await TalkAsync(await AssistantAsync(null));
        Assert.That((await _tenant.GetAsync($"/v1/sessions/{session}/analysis")).Code, Is.EqualTo("analysis.not_found"));
        var refused = await _tenant.PostAsync($"/v1/sessions/{session}/analysis", new { fields = new[] { new { name = "not a name" } } });
        Assert.That((refused.Status, refused.Fields), Is.EqualTo((HttpStatusCode.UnprocessableEntity, new[] { "fields[0].name" })), refused.Body?.ToJsonString());
        Assert.That((await _tenant.PostAsync($"/v1/sessions/{session}/analysis", "[1]")).Status, Is.EqualTo(HttpStatusCode.BadRequest));

        _server.Chat = _ => Call("""{"fields":{"mood":"good"}}""");
        var body = new { summary = false, fields = new[] { new { name = "mood" } }, llm = new { model = "openai/gpt-test" } };
        var asked = await _tenant.PostAsync($"/v1/sessions/{session}/analysis", body, ("Idempotency-Key", "once"));
        Assert.That((asked.Status, asked.Get<string>("status")), Is.EqualTo((HttpStatusCode.Accepted, "pending")), asked.Body?.ToJsonString());
        var analysis = await AnalysisAsync(session);
        Assert.That((analysis["fields"]!.ToJsonString(), analysis["summary"]), Is.EqualTo(("""{"mood":"good"}""", (JsonNode?)null)));
        Assert.That((await _tenant.PostAsync($"/v1/sessions/{session}/analysis", body, ("Idempotency-Key", "once"))).Get<string>("status"), Is.EqualTo("pending"), "the same answer, and nothing begun");
        Assert.That(Text((await _tenant.GetAsync($"/v1/sessions/{session}/analysis")).Body!, "status"), Is.EqualTo("ready"));

        await _host.SqlAsync("UPDATE billing.heads SET available = 0, credit_limit = 0 WHERE tenant_id = $1", _tenant.TenantId);
        var unpaid = await _tenant.PostAsync($"/v1/sessions/{session}/analysis", body);
        Assert.That((unpaid.Status, unpaid.Code), Is.EqualTo((HttpStatusCode.PaymentRequired, "billing.insufficient_credits")));
    }

    [Test]
    public async Task Silence_is_not_analysed_and_one_that_runs_is_refused()
    {
        var assistant = await AssistantAsync(Asked);
        var silent = await _tenant.StartTextSessionAsync(assistant);
        Assert.That((await _tenant.PostAsync($"/v1/sessions/{silent}/analysis")).Code, Is.EqualTo("session.not_ended"));
        await _tenant.PostAsync($"/v1/sessions/{silent}/end");
        Assert.That((await _tenant.GetAsync($"/v1/sessions/{silent}/analysis")).Code, Is.EqualTo("analysis.not_found"));
        Assert.That((await _tenant.PostAsync($"/v1/sessions/{silent}/analysis")).Code, Is.EqualTo("analysis.nothing_said"));
    }

    [Test]
    public async Task In_test_mode_a_script_answers_and_nothing_is_charged()
    {
        var key = (await _tenant.PostAsync("/v1/keys", new { name = "test", scopes = new[] { "admin" }, mode = "test" })).Get<string>("key");
        var test = _tenant.WithKey(key);
        var before = await _tenant.BalanceAsync();
        var session = await TalkAsync(await AssistantAsync(Asked), by: test);
        var analysis = await AnalysisAsync(session, test);
        Assert.That((Text(analysis, "status"), analysis["fields"]!.ToJsonString()), Is.EqualTo(("ready", """{"day":null,"phone":null,"guests":null,"vegetarian":null}""")), analysis.ToJsonString());
        Assert.That(Text(analysis, "summary"), Does.StartWith("This is a test"));
        Assert.That((_server.Asked.Count, await _tenant.BalanceAsync()), Is.EqualTo((0, before)));
    }

    [TestCase("""{"fields":[{"name":"a"},{"name":"a"}]}""", "analysis.fields")]
    [TestCase("""{"fields":[{"name":"a b"}]}""", "analysis.fields[0].name")]
    [TestCase("""{"fields":[{"name":"a","type":"date"}]}""", "analysis.fields[0].type")]
    [TestCase("""{"fields":[{"name":"a","type":"number","options":["1"]}]}""", "analysis.fields[0].options")]
    [TestCase("""{"fields":[{"name":"a","options":["x","x"]}]}""", "analysis.fields[0].options")]
    [TestCase("""{"fields":[null]}""", "analysis.fields[0]")]
    [TestCase("""{"fields":null}""", "analysis.fields")]
    [TestCase("""{"summary":false}""", "analysis.fields")]
    [TestCase("""{"success":" "}""", "analysis.success")]
    [TestCase("""{"llm":{"model":"nonsense"}}""", "analysis.llm.model")]
    [TestCase("""{"llm":{"model":"local/script","options":{"rules":[{"when":"("}]}}}""", "analysis.llm.options.rules[0].when")]
    public async Task Bad_settings_name_the_field(string settings, string field)
    {
        var answer = await _tenant.PostAsync("/v1/assistants", $$"""{"name":"A","analysis":{{settings}}}""");
        Assert.That((answer.Status, answer.Fields), Is.EqualTo((HttpStatusCode.UnprocessableEntity, new[] { field })), answer.Body?.ToJsonString());
    }

    private static string Text(JsonNode node, string name) => node[name]!.GetValue<string>();

    private static IEnumerable<object> Call(string arguments) =>
        [Chunk(new { tool_calls = new[] { new { index = 0, id = "c1", type = "function", function = new { name = "record_analysis", arguments } } } }), Finish("tool_calls")];

    private static object Chunk(object delta) => new { id = "x", @object = "chat.completion.chunk", created = 1, model = "gpt-test", choices = new[] { new { index = 0, delta, finish_reason = (string?)null } } };

    private static object Finish(string reason) => new
    {
        id = "x", @object = "chat.completion.chunk", created = 1, model = "gpt-test", choices = new[] { new { index = 0, delta = new { }, finish_reason = reason } },
        usage = new { prompt_tokens = 2_000, completion_tokens = 100, total_tokens = 2_100 },
    };

    private Task<string> AssistantAsync(object? analysis) => _tenant.CreateAssistantAsync(new
    {
        name = "Bistro",
        llm = new { model = "local/script", options = new { rules = new object[] { new { when = "bye", say = "Goodbye.", end_call = true } }, otherwise = "It is yours." } },
        analysis,
    });

    /// <summary>A conversation of four lines that is over.</summary>
    private async Task<string> TalkAsync(string assistant, object? metadata = null, TestTenant? by = null)
    {
        var started = await (by ?? _tenant).PostAsync("/v1/sessions", new { assistant_id = assistant, text_only = true, metadata });
        Assert.That(started.Status, Is.EqualTo(HttpStatusCode.Created), started.Body?.ToJsonString());
        foreach (var text in (string[])["A table for four, please.", "bye"])
        {
            await (by ?? _tenant).PostAsync($"/v1/sessions/{started.Get<string>("id")}/messages", new { text });
        }

        return started.Get<string>("id");
    }

    /// <summary>What was found out, once it is there.</summary>
    private async Task<JsonNode> AnalysisAsync(string session, TestTenant? by = null)
    {
        JsonNode analysis = null!;
        Assert.That(async () => Text(analysis = (await (by ?? _tenant).GetAsync($"/v1/sessions/{session}/analysis")).Body!, "status"), Is.Not.EqualTo("pending").After(15_000, 50));
        return analysis;
    }

    private async Task<List<JsonNode>> EventsAsync(string type) =>
        [.. (await _tenant.GetAsync("/v1/events?limit=100")).Body!["data"]!.AsArray().Select(e => e!).Where(e => Text(e, "type") == type)];

    private async Task<long> SpentAsync(string session) =>
        (await _tenant.GetAsync($"/v1/billing/transactions?subject_id={session}&limit=100")).Body!["data"]!.AsArray()
            .SelectMany(t => t!["entries"]!.AsArray()).Where(e => Text(e!, "account") == "platform:revenue").Sum(e => e!["amount"]!.GetValue<long>());
}
