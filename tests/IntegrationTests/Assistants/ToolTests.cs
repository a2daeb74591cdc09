using System.Net;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Assistants;

/// <summary>Tools: kept, attached, and used in conversations. One after the other, on one host with one server of models.</summary>
[FixtureLifeCycle(LifeCycle.SingleInstance)]
[Parallelizable(ParallelScope.Self)]
internal sealed class ToolTests
{
    private TenantServer _models = null!;
    private TestHost _host = null!;
    private TestTenant _tenant = null!;
    private TenantServer _server = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        _models = await TenantServer.StartAsync();
        _host = await TestHost.StartAsync(("OPENAI_API_KEY", "key"), ("OPENAI_BASE_URL", $"{_models.Url}/v1"));
    }

    [OneTimeTearDown]
    public async Task EndAsync()
    {
        await _host.DisposeAsync();
        await _models.DisposeAsync();
    }

    [SetUp]
    public async Task SetUpAsync()
    {
        _models.Asked.Clear();
        _server = await TenantServer.StartAsync();
        _tenant = await _host.SignUpAsync();
    }

    [TearDown]
    public async Task TearDownAsync() => await _server.DisposeAsync();

    [Test]
    public async Task A_tool_is_kept_with_its_header_values_sealed_and_masked()
    {
        var made = await _tenant.PostAsync("/v1/tools", Webhook(new { authorization = "Bearer very-secret", x_ref = "{{secrets.REF}}" }));
        Assert.That(made.Status, Is.EqualTo(HttpStatusCode.Created), made.Body?.ToJsonString());
        var id = made.Get<string>("id");
        Assert.That(made.Body!["webhook"]!["headers"]!.ToJsonString(), Is.EqualTo("""{"authorization":"********","x_ref":"{{secrets.REF}}"}"""));
        Assert.That((await _tenant.GetAsync($"/v1/tools/{id}")).Body!.ToJsonString(), Does.Not.Contain("very-secret"));

        var masked = await _tenant.PatchAsync($"/v1/tools/{id}", new { webhook = new { headers = new { authorization = "********" } } });
        Assert.That((masked.Status, masked.Fields.Single()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, "webhook.headers.authorization")));
        var changed = await _tenant.PatchAsync($"/v1/tools/{id}", new { description = "New", webhook = new { headers = new { x_ref = (string?)null } } }, ("If-Match", made.Headers["ETag"]));
        Assert.That(changed.Body!["webhook"]!["headers"]!.ToJsonString(), Is.EqualTo("""{"authorization":"********"}"""));
        Assert.That((await _tenant.PatchAsync($"/v1/tools/{id}", new { say = "x" }, ("If-Match", made.Headers["ETag"]))).Status, Is.EqualTo(HttpStatusCode.PreconditionFailed));

        await using var owner = Npgsql.NpgsqlDataSource.Create(_host.Database.Owner);
        await using var search = owner.CreateCommand("SELECT count(*) FROM assistant.tools t WHERE t::text LIKE '%very-secret%' OR encode(headers, 'escape') LIKE '%very-secret%'");
        Assert.That(await search.ExecuteScalarAsync(), Is.Zero);

        // The value that was kept is still the one that is sent.
        await UseAsync(id, "order 7");
        Assert.That(_server.Asked.Single().Headers["authorization"], Is.EqualTo("Bearer very-secret"));
    }

    [TestCase("""{"name":"has space"}""", "name")]
    [TestCase("""{"type":"static"}""", "static")]
    [TestCase("""{"type":"nonsense"}""", "type")]
    [TestCase("""{"webhook":{"url":"http://169.254.169.254/latest"}}""", "webhook.url")]
    [TestCase("""{"webhook":{"url":"ftp://example.com"}}""", "webhook.url")]
    [TestCase("""{"webhook":{"url":"https://example.com","headers":{"Host":"x"}}}""", "webhook.headers.host")]
    [TestCase("""{"webhook":{"url":"https://example.com","headers":{"Content-Language":"x"}}}""", "webhook.headers.content-language")]
    [TestCase("""{"webhook":{"url":"https://example.com","headers":{"expires":"x"}}}""", "webhook.headers.expires")]
    [TestCase("""{"webhook":{"url":"https://example.com","timeout_s":90}}""", "webhook.timeout_s")]
    [TestCase("""{"parameters":{"type":"array"}}""", "parameters")]
    [TestCase("""{"surprise":1}""", "surprise")]
    [TestCase("""{"type":"builtin","webhook":null,"builtin":{"function":"transfer_call"}}""", "builtin.destinations")]
    public async Task A_bad_tool_names_the_field(string change, string field)
    {
        var body = JsonNode.Parse(System.Text.Json.JsonSerializer.Serialize(Webhook(null)))!.AsObject();
        foreach (var (name, value) in JsonNode.Parse(change)!.AsObject())
        {
            body[name] = value?.DeepClone();
        }

        var answer = await _tenant.PostAsync("/v1/tools", body.ToJsonString());
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.UnprocessableEntity), answer.Body?.ToJsonString());
        Assert.That(answer.Fields, Does.Contain(field));
    }

    [Test]
    public async Task An_assistant_is_given_tools_of_its_tenant_only_and_one_in_use_stays()
    {
        var id = (await _tenant.PostAsync("/v1/tools", Webhook(null))).Get<string>("id");
        var twin = (await _tenant.PostAsync("/v1/tools", Webhook(null))).Get<string>("id");
        var foreign = (await (await _host.SignUpAsync("Other")).PostAsync("/v1/tools", Webhook(null))).Get<string>("id");

        Assert.That((await _tenant.PostAsync("/v1/assistants", new { name = "A", tools = new[] { id, foreign } })).Fields, Is.EqualTo(["tools[1]"]));
        Assert.That((await _tenant.PostAsync("/v1/assistants", new { name = "A", tools = new[] { id, twin } })).Fields, Is.EqualTo(["tools[1]"]));
        var assistant = (await _tenant.PostAsync("/v1/assistants", new { name = "A", tools = new[] { id } })).Get<string>("id");

        var refused = await _tenant.DeleteAsync($"/v1/tools/{id}");
        Assert.That((refused.Status, refused.Code), Is.EqualTo((HttpStatusCode.Conflict, "tool.in_use")));
        await _tenant.PatchAsync($"/v1/assistants/{assistant}", new { tools = Array.Empty<string>() });
        Assert.That((await _tenant.DeleteAsync($"/v1/tools/{id}")).Status, Is.EqualTo(HttpStatusCode.NoContent));
        Assert.That((await _tenant.GetAsync($"/v1/tools/{id}")).Status, Is.EqualTo(HttpStatusCode.NotFound));
        Assert.That((await _tenant.GetAsync("/v1/tools")).Body!["data"]!.AsArray().Select(t => t!["id"]!.GetValue<string>()), Is.EqualTo([twin]));

        // A version that had it cannot come back without it.
        var restored = await _tenant.PostAsync($"/v1/assistants/{assistant}/versions/1/restore");
        Assert.That((restored.Status, restored.Fields.Single()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, "tools[0]")));
    }

    [Test]
    public async Task A_webhook_tool_asks_the_tenants_server_with_its_secret_and_the_answer_is_spoken_of()
    {
        await _host.SendAsync(HttpMethod.Put, "/v1/secrets/SHOP_TOKEN", _tenant.Key, new { value = "shop-token-1" });
        var tool = (await _tenant.PostAsync("/v1/tools", Webhook(new { authorization = "Bearer {{secrets.SHOP_TOKEN}}" }))).Get<string>("id");
        var (session, answer) = await UseAsync(tool, "where is order 7");

        Assert.That(answer, Is.EqualTo("""It says {"status":"shipped"}."""));
        var asked = _server.Asked.Single();
        Assert.That((asked.Method, asked.PathAndQuery, asked.Headers["authorization"]), Is.EqualTo(("POST", "/tool/42", "Bearer shop-token-1")));
        Assert.That(asked.Body!["arguments"]!.ToJsonString(), Is.EqualTo("""{"order":"42","text":"where is order 7"}"""));
        Assert.That((asked.Body["tool"]!.GetValue<string>(), asked.Body["session_id"]!.GetValue<string>()), Is.EqualTo(("look_up", session)));
        var events = (await _tenant.GetAsync($"/v1/sessions/{session}/events")).Body!.ToJsonString();
        Assert.That(events, Does.Contain("tool.called").And.Contain("look_up").And.Not.Contain("shop-token"));
    }

    [Test]
    public async Task A_server_that_fails_is_slow_or_redirects_is_an_outcome_and_no_end()
    {
        var tool = (await _tenant.PostAsync("/v1/tools", Webhook(null))).Get<string>("id");
        var impatient = (await _tenant.PostAsync("/v1/tools", Webhook(null, timeoutS: 1))).Get<string>("id");
        _server.Tool = http => { http.Response.StatusCode = 500; return http.Response.WriteAsync("broken"); };
        Assert.That((await UseAsync(tool, "order")).Answer, Does.Contain("answered 500. broken"));
        _server.Tool = http => Task.Delay(TimeSpan.FromSeconds(20), TimeProvider.System, http.RequestAborted);
        Assert.That((await UseAsync(impatient, "order")).Answer, Does.Contain("no answer within 1 s"));
        _server.Tool = http => { http.Response.Redirect("http://169.254.169.254/latest/meta-data"); return Task.CompletedTask; };
        Assert.That((await UseAsync(tool, "order")).Answer, Does.Contain("may reach"));
        var moved = 0;
        _server.Tool = http =>
        {
            if (http.Request.Path.Value!.EndsWith("/moved", StringComparison.Ordinal))
            {
                moved++;
                return http.Response.WriteAsync("found");
            }

            http.Response.Redirect("/tool/moved");
            return Task.CompletedTask;
        };
        Assert.That(((await UseAsync(tool, "order")).Answer, moved), Is.EqualTo(("It says found.", 1)));
        _server.Tool = http => http.Response.WriteAsync(new string('x', 1_000_000));
        Assert.That((await UseAsync(tool, "order")).Answer, Has.Length.LessThan(20_000));
    }

    [Test]
    public async Task A_static_tool_answers_and_one_that_needs_a_room_says_that_there_is_none()
    {
        var hours = (await _tenant.PostAsync("/v1/tools", new { name = "look_up", type = "static", @static = new { result = "open till {{hour}}" } })).Get<string>("id");
        Assert.That((await UseAsync(hours, "order")).Answer, Is.EqualTo("It says open till 8."));
        var client = (await _tenant.PostAsync("/v1/tools", new { name = "look_up", type = "client" })).Get<string>("id");
        Assert.That((await UseAsync(client, "order")).Answer, Does.Contain("no program that could be asked"));
        var transfer = (await _tenant.PostAsync("/v1/tools", new { name = "look_up", type = "builtin", builtin = new { function = "transfer_call", destinations = new[] { "+15550100" } } })).Get<string>("id");
        Assert.That((await UseAsync(transfer, "order")).Answer, Does.Contain("no telephone call"));
    }

    [Test]
    public async Task An_mcp_servers_tools_are_used_as_far_as_they_are_allowed()
    {
        var mcp = (await _tenant.PostAsync("/v1/tools", new
        {
            name = "stock", type = "mcp", mcp = new { url = $"{_server.Url}/mcp", allowed_tools = new[] { "stock_level" }, headers = new { x_key = "k" } },
        })).Get<string>("id");
        Assert.That((await UseAsync(mcp, "stock of nails", "stock_level")).Answer, Is.EqualTo("It says stock_level: 42 for stock of nails."));
        Assert.That(_server.Asked, Has.All.Matches<Asked>(a => a.Headers["x_key"] == "k"));
        Assert.That((await UseAsync(mcp, "erase", "erase_everything")).Answer, Does.Contain("There is no tool"));
    }

    [Test]
    public async Task A_language_model_calls_tools_until_it_can_answer_and_pays_for_every_step()
    {
        var tool = (await _tenant.PostAsync("/v1/tools", Webhook(null))).Get<string>("id");
        var end = (await _tenant.PostAsync("/v1/tools", new { name = "hang_up", type = "builtin", builtin = new { function = "end_call" } })).Get<string>("id");
        _models.Chat = body => body["messages"]!.AsArray().Count switch
        {
            1 => [Chunk(new { tool_calls = new[] { new { index = 0, id = "c1", type = "function", function = new { name = "look_up", arguments = "{\"order\":" } } } }),
                Chunk(new { tool_calls = new[] { new { index = 0, function = new { arguments = "\"7\"}" } } } }), Finish("tool_calls")],
            3 => [Chunk(new { content = "It has shipped. Goodbye." }),
                Chunk(new { tool_calls = new[] { new { index = 0, id = "c2", type = "function", function = new { name = "hang_up", arguments = "{}" } } } }), Finish("tool_calls")],
            _ => throw new InvalidOperationException("Nobody asks once the goodbye is said."),
        };
        var assistant = (await _tenant.PostAsync("/v1/assistants", new { name = "Shop", llm = new { model = "openai/gpt-test" }, tools = new[] { tool, end } })).Get<string>("id");
        var session = await _tenant.StartTextSessionAsync(assistant);
        var answer = await _tenant.PostAsync($"/v1/sessions/{session}/messages", new { text = "Where is order 7?" });

        Assert.That((answer.Get<string>("text"), answer.Get<bool>("ended")), Is.EqualTo(("It has shipped. Goodbye.", true)), answer.Body?.ToJsonString());
        var chats = _models.Asked.ToList();
        Assert.That(chats[0].Body!["tools"]!.AsArray().Select(t => t!["function"]!["name"]!.GetValue<string>()), Is.EqualTo(["look_up", "hang_up"]));
        var told = chats[1].Body!["messages"]!.AsArray();
        Assert.That(told.Select(m => m!["role"]!.GetValue<string>()), Is.EqualTo(["user", "assistant", "tool"]));
        Assert.That((told[2]!["tool_call_id"]!.GetValue<string>(), told[2]!["content"]!.ToString()), Is.EqualTo(("c1", """{"status":"shipped"}""")));
        Assert.That(_server.Asked.Single().Body!["arguments"]!.ToJsonString(), Is.EqualTo("""{"order":"7"}"""));
        var usage = (await _tenant.GetAsync($"/v1/sessions/{session}/usage")).Body!["data"]!.AsArray();
        Assert.That(usage.Single(u => u!["component"]!.GetValue<string>() == "llm_output")!["quantity"]!.GetValue<long>(), Is.EqualTo(10));
    }

    [Test]
    public async Task A_tenants_own_provider_key_stands_in_for_the_operators()
    {
        await using var host = await TestHost.StartAsync(("OPENAI_BASE_URL", $"{_models.Url}/v1"));
        var tenant = await host.SignUpAsync();
        var assistant = (await tenant.PostAsync("/v1/assistants", new { name = "A", llm = new { model = "openai/gpt-test" } })).Get<string>("id");
        var refused = await tenant.PostAsync("/v1/sessions", new { assistant_id = assistant, text_only = true });
        Assert.That((refused.Status, refused.Code, refused.Fields.Single()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, "assistant.provider_missing", "llm.model")));

        await host.SendAsync(HttpMethod.Put, "/v1/secrets/OPENAI_API_KEY", tenant.Key, new { value = "sk-tenant" });
        _models.Chat = _ => [Chunk(new { content = "Hello." }), Finish("stop")];
        var session = await tenant.StartTextSessionAsync(assistant);
        Assert.That((await tenant.PostAsync($"/v1/sessions/{session}/messages", new { text = "Hi" })).Get<string>("text"), Is.EqualTo("Hello."));
        Assert.That(_models.Asked.Single().Headers["authorization"], Is.EqualTo("Bearer sk-tenant"));
    }

    [TestCase("{{secrets.X}}", true)]
    [TestCase("Bearer {{secrets.X}}", true)]
    [TestCase("session=REAL; csrf={{secrets.X}}", false)]
    [TestCase("{{secrets.X}} REAL", false)]
    [TestCase("{{order}}", false)]
    public async Task Only_a_header_that_has_no_value_of_its_own_is_shown(string value, bool isShown)
    {
        var made = await _tenant.PostAsync("/v1/tools", Webhook(new { x_ref = value }));
        Assert.That(made.Body!["webhook"]!["headers"]!["x_ref"]!.GetValue<string>(), Is.EqualTo(isShown ? value : "********"));
    }

    [Test]
    public async Task What_a_caller_says_is_no_template_and_no_header()
    {
        await _host.SendAsync(HttpMethod.Put, "/v1/secrets/SHOP_TOKEN", _tenant.Key, new { value = "shop-token-1" });
        var tool = (await _tenant.PostAsync("/v1/tools", Webhook(new { authorization = "Bearer {{secrets.SHOP_TOKEN}}", x_ref = "{{order}}" }))).Get<string>("id");
        await UseAsync(tool, "order", variables: new { order = "{{secrets.SHOP_TOKEN}}" });
        Assert.That(_server.Asked.Single().Headers["x_ref"], Is.EqualTo("{{secrets.SHOP_TOKEN}}"));

        foreach (var order in (string[])["42\r\nx-evil: 1", "42\n", "caf\u00e9"])
        {
            Assert.That((await UseAsync(tool, "order", variables: new { order })).Answer, Is.EqualTo("It says The header x_ref would have characters that a header cannot have.."));
        }

        var mcp = (await _tenant.PostAsync("/v1/tools", McpTool(new { x_ref = "{{order}}", authorization = "Bearer {{secrets.SHOP_TOKEN}}" }))).Get<string>("id");
        var (session, _) = await UseAsync(mcp, "nails", "stock_level", new { order = "42\r\nx-evil: 1" });
        var events = (await _tenant.GetAsync($"/v1/sessions/{session}/events")).Body!.ToJsonString();
        Assert.That(events, Does.Contain("The header x_ref would have").And.Not.Contain("x-evil").And.Not.Contain("shop-token"));
        Assert.That(_server.Asked, Has.Count.EqualTo(1));
    }

    [Test]
    public async Task A_secret_is_sent_to_another_server_by_an_admin_only()
    {
        await using var other = await TenantServer.StartAsync();
        var made = await _tenant.PostAsync("/v1/keys", new { name = "o", scopes = new[] { "operate" } });
        var operatorsKey = _tenant.WithKey(made.Get<string>("key"));
        var secret = new { x_ref = "{{secrets.SHOP_TOKEN}}" };
        AssertNeedsAdmin(await operatorsKey.PostAsync("/v1/tools", Webhook(secret)));
        var tool = (await _tenant.PostAsync("/v1/tools", Webhook(secret))).Get<string>("id");

        Assert.That((await operatorsKey.PatchAsync($"/v1/tools/{tool}", new { description = "x", webhook = new { url = $"{_server.Url}/tool/elsewhere" } })).Status, Is.EqualTo(HttpStatusCode.OK));
        AssertNeedsAdmin(await operatorsKey.PatchAsync($"/v1/tools/{tool}", new { webhook = new { url = $"{other.Url}/tool" } }));
        AssertNeedsAdmin(await operatorsKey.PatchAsync($"/v1/tools/{tool}", new { webhook = new { url = "http://{{order}}/tool" } }));
        AssertNeedsAdmin(await operatorsKey.PatchAsync($"/v1/tools/{tool}", new { webhook = new { headers = new { x_more = "{{secrets.OTHER}}" } } }));
        AssertNeedsAdmin(await operatorsKey.PatchAsync($"/v1/tools/{tool}", new { type = "mcp", webhook = (object?)null, mcp = new { url = $"{other.Url}/mcp", headers = secret } }));
        Assert.That((await _tenant.PatchAsync($"/v1/tools/{tool}", new { webhook = new { url = $"{other.Url}/tool" } })).Body!["webhook"]!["headers"]!.ToJsonString(), Does.Contain("SHOP_TOKEN"));

        static void AssertNeedsAdmin(Answer answer) =>
            Assert.That((answer.Status, answer.Code), Is.EqualTo((HttpStatusCode.Forbidden, "tool.secrets_need_admin")), answer.Body?.ToJsonString());
    }

    [Test]
    public async Task A_tool_that_moves_leaves_its_header_values_behind()
    {
        await using var other = await TenantServer.StartAsync();
        var operatorsKey = _tenant.WithKey((await _tenant.PostAsync("/v1/keys", new { name = "o", scopes = new[] { "operate" } })).Get<string>("key"));
        var tool = (await _tenant.PostAsync("/v1/tools", Webhook(new { authorization = "Bearer first", x_ref = "old" }))).Get<string>("id");
        var moved = await operatorsKey.PatchAsync($"/v1/tools/{tool}", new { webhook = new { url = $"{other.Url}/tool", headers = new { x_ref = "new" } } });
        Assert.That(moved.Body!["webhook"]!["headers"]!.ToJsonString(), Is.EqualTo("""{"x_ref":"********"}"""));
        await UseAsync(tool, "order");
        Assert.That(other.Asked.Single().Headers["x_ref"], Is.EqualTo("new"));
        Assert.That(other.Asked.Single().Headers, Does.Not.ContainKey("authorization"));

        await _tenant.PatchAsync($"/v1/tools/{tool}", new { webhook = new { url = $"{_server.Url}/tool" } });
        await UseAsync(tool, "order");
        Assert.That(_server.Asked.Single().Headers["x_ref"], Is.EqualTo("new"));
    }

    [Test]
    public async Task An_answer_that_breaks_off_is_an_outcome()
    {
        var tool = (await _tenant.PostAsync("/v1/tools", Webhook(null))).Get<string>("id");
        _server.Tool = async http =>
        {
            http.Response.ContentLength = 100;
            await http.Response.WriteAsync("half");
        };
        Assert.That((await UseAsync(tool, "order")).Answer, Does.StartWith("It says The tenant's server gave no answer that can be used: ").And.Contain("premature"));
    }

    [TestCase("""{"text":"\ud800"}""")]
    [TestCase("""{"\ud800":1}""")]
    [TestCase("""{"text":"a","text":"b"}""")]
    [TestCase("""[1]""")]
    [TestCase("""{"text":""")]
    public async Task Arguments_of_whatever_kind_are_an_outcome(string arguments)
    {
        var get = (await _tenant.PostAsync("/v1/tools", new { name = "look_up", type = "webhook", webhook = new { url = $"{_server.Url}/tool", method = "get" } })).Get<string>("id");
        var mcp = (await _tenant.PostAsync("/v1/tools", McpTool(null))).Get<string>("id");
        foreach (var name in (string[])["look_up", "stock_level"])
        {
            _models.Chat = body => body["messages"]!.AsArray().Count == 1
                ? [Chunk(new { tool_calls = new[] { new { index = 0, id = "c1", type = "function", function = new { name, arguments } } } }), Finish("tool_calls")]
                : [Chunk(new { content = "Done with it." }), Finish("stop")];
            var assistant = (await _tenant.PostAsync("/v1/assistants", new { name = "Shop", llm = new { model = "openai/gpt-test" }, tools = new[] { get, mcp } })).Get<string>("id");
            var session = await _tenant.StartTextSessionAsync(assistant);
            var answer = await _tenant.PostAsync($"/v1/sessions/{session}/messages", new { text = "Go" });
            Assert.That((answer.Status, answer.Body!["text"]?.GetValue<string>()), Is.EqualTo((HttpStatusCode.OK, "Done with it.")), answer.Body?.ToJsonString());
        }
    }

    [Test]
    public async Task An_mcp_server_says_and_offers_so_much_and_no_more()
    {
        var mcp = (await _tenant.PostAsync("/v1/tools", McpTool(null))).Get<string>("id");
        var size = 100_000;
        _server.Mcp = (_, request) => Task.FromResult<object?>(request?["method"]?.GetValue<string>() switch
        {
            "tools/list" => new { tools = Enumerable.Range(0, 70).Select(i => new { name = $"t{i}", description = new string('d', i == 5 ? 20_000 : 1), inputSchema = new { type = "object" } }) },
            "tools/call" => new { content = new[] { new { type = "text", text = new string('x', size) } } },
            _ => null,
        });
        Assert.That((await UseAsync(mcp, "go", "t0")).Answer, Has.Length.InRange(16_000, 17_000));
        size = 2_000_000;
        Assert.That((await UseAsync(mcp, "go", "t64")).Answer, Does.Contain("the answer has more than 1 MB"));
        Assert.That((await UseAsync(mcp, "go", "t5")).Answer, Does.Contain("There is no tool"));
        var (session, answer) = await UseAsync(mcp, "go", "t65");
        Assert.That(answer, Does.Contain("There is no tool"));
        Assert.That((await _tenant.GetAsync($"/v1/sessions/{session}/events")).Body!.ToJsonString(), Does.Contain("6 tools of stock are not used"));
    }

    [Test]
    [RealTime]
    public async Task Mcp_servers_are_opened_beside_each_other_and_up_to_eight()
    {
        var ids = new List<string>();
        for (var i = 0; i < 9; i++)
        {
            ids.Add((await _tenant.PostAsync("/v1/tools", McpTool(null, $"stock_{i}"))).Get<string>("id"));
        }

        var refused = await _tenant.PostAsync("/v1/assistants", new { name = "A", tools = ids });
        Assert.That((refused.Status, refused.Fields.Single()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, "tools[8]")));

        // None is answered before all have asked.
        var (waiting, all) = (0, new TaskCompletionSource());
        _server.Mcp = async (_, request) =>
        {
            if (request?["method"]?.GetValue<string>() == "initialize")
            {
                if (Interlocked.Increment(ref waiting) == 8)
                {
                    all.SetResult();
                }

                await all.Task;
            }

            return null;
        };
        Assert.That((await UseAsync([.. ids.Take(8)], "nails", "stock_level")).Answer, Is.EqualTo("It says stock_level: 42 for nails."));
    }

    [Test]
    public async Task An_mcp_server_that_hangs_holds_up_no_end()
    {
        var mcp = (await _tenant.PostAsync("/v1/tools", McpTool(null))).Get<string>("id");
        using var over = new CancellationTokenSource();
        _server.Mcp = async (http, request) =>
        {
            http.Response.Headers["Mcp-Session-Id"] = "s1";
            if (request is null)
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, over.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            return null;
        };
        var started = TimeProvider.System.GetTimestamp();
        Assert.That((await UseAsync(mcp, "nails", "stock_level")).Answer, Is.EqualTo("It says stock_level: 42 for nails."));
        Assert.That(TimeProvider.System.GetElapsedTime(started), Is.LessThan(TimeSpan.FromSeconds(30)));
        Assert.That(_server.Asked.Select(a => a.Method), Has.All.EqualTo("POST"), "Nothing is asked that nothing cancels.");
        await over.CancelAsync();
    }

    private object McpTool(object? headers, string name = "stock") => new { name, type = "mcp", mcp = new { url = $"{_server.Url}/mcp", headers } };

    private object Webhook(object? headers, double timeoutS = 10) => new
    {
        name = "look_up", type = "webhook", description = "Finds an order.",
        parameters = new { type = "object", properties = new { order = new { type = "string" } } },
        webhook = new { url = _server.Url + "/tool/{{order}}", headers, timeout_s = timeoutS },
    };

    /// <summary>A text conversation whose rule uses the tool; answers what was said.</summary>
    private Task<(string Session, string Answer)> UseAsync(string toolId, string text, string name = "look_up", object? variables = null) =>
        UseAsync([toolId], text, name, variables);

    private async Task<(string Session, string Answer)> UseAsync(string[] tools, string text, string name = "look_up", object? variables = null)
    {
        var assistant = (await _tenant.PostAsync("/v1/assistants", new
        {
            name = "Tools",
            tools,
            llm = new
            {
                model = "local/script",
                options = new { rules = new[] { new { when = ".", say = "It says {{result}}.", tool = name, arguments = new { order = "{{order}}" } } } },
            },
        })).Get<string>("id");
        var session = await _tenant.StartTextSessionAsync(assistant, variables ?? new { order = "42", hour = "8" });
        var answer = await _tenant.PostAsync($"/v1/sessions/{session}/messages", new { text });
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.OK), answer.Body?.ToJsonString());
        return (session, answer.Get<string>("text"));
    }

    private static object Chunk(object delta) => new { id = "1", @object = "chat.completion.chunk", created = 1, model = "m", choices = new[] { new { index = 0, delta, finish_reason = (string?)null } } };

    private static object Finish(string reason) => new
    {
        id = "1", @object = "chat.completion.chunk", created = 1, model = "m", choices = new[] { new { index = 0, delta = new { }, finish_reason = reason } },
        usage = new { prompt_tokens = 20, completion_tokens = 5, total_tokens = 25 },
    };
}
