using System.Net;
using System.Text.Json.Nodes;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.IntegrationTests.Calls;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Seeds;

/// <summary>Seed 003 as its clients know it: keys, assistants, trunks, calls, and what is posted when a call ends.</summary>
internal sealed class Seed003Tests : PhoneBenchTests
{
    private static readonly object LocalModels = new
    {
        architecture = "pipeline", realtime = (object?)null, stt = new { model = "local/pocketsphinx" }, tts = new { model = "local/flite:slt" }, llm = new { model = "local/script" },
    };

    [Test]
    public async Task Create_key_needs_no_key_and_returns_one_in_the_envelope()
    {
        var answer = await Bench.Host.SendAsync(
            HttpMethod.Post, "/auth/create-key", null, new { user_name = "Admin User", org_name = "My Org", user_email = "admin@example.com", newsletter = true });
        Assert.That((answer.Status, answer.Get<bool>("success")), Is.EqualTo((HttpStatusCode.OK, true)));
        Assert.That(answer.Body!["data"]!["api_key"]!.GetValue<string>(), Does.StartWith("lvk_"));

        var bad = await Bench.Host.SendAsync(HttpMethod.Post, "/auth/create-key", null, "nonsense");
        AssertRefused(bad, HttpStatusCode.BadRequest, "JSON");
    }

    [TestCase("POST", "/assistant/create")]
    [TestCase("GET", "/assistant/list")]
    [TestCase("PATCH", "/assistant/update/ast1")]
    [TestCase("POST", "/sip/create-outbound-trunk")]
    [TestCase("POST", "/call/outbound")]
    public async Task Every_other_route_without_a_key_is_401_in_the_envelope(string method, string path)
    {
        foreach (var key in new[] { null, "lvk_0000000000000000000000000000000000000000000000000000000000000000" })
        {
            var answer = await Bench.Host.SendAsync(new HttpMethod(method), path, key, method == "GET" ? null : new { });
            AssertRefused(answer, HttpStatusCode.Unauthorized, "key");
        }
    }

    [Test]
    public async Task An_assistant_is_created_listed_and_patched_in_the_seeds_words()
    {
        var maya = await CreateAsync(Cartesia());
        var meera = await CreateAsync(new
        {
            assistant_name = "Meera", assistant_description = "", assistant_prompt = "Be kind.", assistant_tts_model = "sarvam", assistant_tts_speaker = "meera",
            assistant_start_instruction = "Namaste", assistant_end_call_url = "",
        });

        var document = await Bench.Tenant.GetAsync($"/v1/assistants/{maya}");
        Assert.That(
            (document.Get<string>("architecture"), document.Body!["realtime"]!["model"]!.GetValue<string>(), document.Body["tts"]!["model"]!.GetValue<string>()),
            Is.EqualTo(("half_cascade", "openai/gpt-4o-realtime-preview", "cartesia/sonic-3:248be419-3632-4f38-9500-05f963499d7e")));
        Assert.That(
            (document.Body["greeting"]!["mode"]!.GetValue<string>(), document.Body["greeting"]!["text"]!.GetValue<string>(), document.Get<string>("end_call_url")),
            Is.EqualTo(("instruction", "Hello {{name}}, how can I help?", "https://your-webhook.com/call-end")));
        Assert.That((await Bench.Tenant.GetAsync($"/v1/assistants/{meera}")).Body!["tts"]!["model"]!.GetValue<string>(), Is.EqualTo("sarvam/bulbul-v3:meera"));

        var patched = await Bench.Tenant.PatchAsync($"/assistant/update/{maya}", new { assistant_name = "Updated Name", assistant_prompt = "You are an updated assistant.", unknown = 1 });
        Assert.That((patched.Status, patched.Get<bool>("success"), patched.Body!["data"]!["assistant_name"]!.GetValue<string>()), Is.EqualTo((HttpStatusCode.OK, true, "Updated Name")));
        document = await Bench.Tenant.GetAsync($"/v1/assistants/{maya}");
        Assert.That(
            (document.Get<string>("name"), document.Get<string>("prompt"), document.Get<string>("description"), document.Get<int>("version")),
            Is.EqualTo(("Updated Name", "You are an updated assistant.", "Customer support bot", 2)));

        await Bench.Tenant.PatchAsync($"/assistant/update/{maya}", new { assistant_tts_voice_id = "another-voice" });
        Assert.That((await Bench.Tenant.GetAsync($"/v1/assistants/{maya}")).Body!["tts"]!["model"]!.GetValue<string>(), Is.EqualTo("cartesia/sonic-3:another-voice"));
        await Bench.Tenant.PatchAsync($"/assistant/update/{maya}", new { assistant_tts_model = "sarvam", assistant_tts_speaker = "meera", assistant_end_call_url = "" });
        document = await Bench.Tenant.GetAsync($"/v1/assistants/{maya}");
        Assert.That((document.Body!["tts"]!["model"]!.GetValue<string>(), document.Body["end_call_url"]), Is.EqualTo(("sarvam/bulbul-v3:meera", (JsonNode?)null)));
    }

    [Test]
    public async Task List_shows_only_the_callers_active_assistants_with_the_fields_of_the_seed()
    {
        var mine = await CreateAsync(Cartesia());
        var gone = await CreateAsync(Cartesia());
        await Bench.Tenant.DeleteAsync($"/v1/assistants/{gone}");
        var colleague = await ColleagueAsync();
        var theirs = await CreateAsync(Cartesia(), colleague);
        await CreateAsync(Cartesia(), await Bench.Host.SignUpAsync("Stranger"));

        var list = await Bench.Tenant.GetAsync("/assistant/list");
        Assert.That((list.Status, list.Get<bool>("success")), Is.EqualTo((HttpStatusCode.OK, true)));
        var items = list.Body!["data"]!.AsArray();
        Assert.That(items.Select(i => i!["assistant_id"]!.GetValue<string>()), Is.EquivalentTo(new[] { mine, Bench.Assistant }));
        var item = items.Single(i => i!["assistant_id"]!.GetValue<string>() == mine)!.AsObject();
        Assert.That(item.Select(f => f.Key), Is.EquivalentTo(new[] { "assistant_id", "assistant_name", "assistant_tts_model", "assistant_created_by_email" }));
        Assert.That(
            (item["assistant_name"]!.GetValue<string>(), item["assistant_tts_model"]!.GetValue<string>(), item["assistant_created_by_email"]!.GetValue<string>()),
            Is.EqualTo(("Support Agent", "cartesia", "test@example.com")));

        var others = (await colleague.GetAsync("/assistant/list")).Body!["data"]!.AsArray().Single()!;
        Assert.That((others["assistant_id"]!.GetValue<string>(), others["assistant_created_by_email"]!.GetValue<string>()), Is.EqualTo((theirs, "colleague@example.com")));
    }

    [TestCase("""{"assistant_name": ""}""", "assistant_name")]
    [TestCase("""{"assistant_prompt": null}""", "assistant_prompt")]
    [TestCase("""{"assistant_tts_model": "elevenlabs"}""", "assistant_tts_model")]
    [TestCase("""{"assistant_tts_model": null}""", "assistant_tts_model")]
    [TestCase("""{"assistant_tts_voice_id": null}""", "assistant_tts_voice_id")]
    [TestCase("""{"assistant_tts_model": "sarvam", "assistant_tts_voice_id": null}""", "assistant_tts_speaker")]
    [TestCase("""{"assistant_tts_speaker": "meera"}""", "assistant_tts_speaker")]
    [TestCase("""{"assistant_end_call_url": "not a url"}""", "assistant_end_call_url")]
    [TestCase("""{"assistant_end_call_url": "http://169.254.169.254/latest"}""", "assistant_end_call_url")]
    [TestCase("""{"assistant_name": 7}""", "assistant_name")]
    public async Task A_bad_assistant_is_400_in_the_envelope_and_names_the_field(string change, string field)
    {
        var body = System.Text.Json.JsonSerializer.SerializeToNode(Cartesia())!.AsObject();
        foreach (var (name, value) in JsonNode.Parse(change)!.AsObject())
        {
            body[name] = value?.DeepClone();
        }

        AssertRefused(await Bench.Tenant.PostAsync("/assistant/create", body.ToJsonString()), HttpStatusCode.BadRequest, field);
    }

    [Test]
    public async Task Another_tenants_assistant_cannot_be_patched()
    {
        var id = await CreateAsync(Cartesia());
        AssertRefused(await (await Bench.Host.SignUpAsync("Stranger")).PatchAsync($"/assistant/update/{id}", new { assistant_name = "mine" }), HttpStatusCode.NotFound, "assistant");
        AssertRefused(await Bench.Tenant.PatchAsync($"/assistant/update/{id}", new { assistant_tts_speaker = "meera" }), HttpStatusCode.BadRequest, "assistant_tts_speaker");
    }

    [Test]
    public async Task A_trunk_is_created_in_the_seeds_words()
    {
        var made = await Bench.Tenant.PostAsync("/sip/create-outbound-trunk", TrunkBody());
        Assert.That((made.Status, made.Get<bool>("success")), Is.EqualTo((HttpStatusCode.OK, true)), made.Body?.ToJsonString());
        Assert.That(made.Body!["data"]!["trunk_id"]!.GetValue<string>(), Does.StartWith("trk"));
        Assert.That(made.Body.ToJsonString(), Does.Not.Contain("password"));
        AssertRefused(await Bench.Tenant.PostAsync("/sip/create-outbound-trunk", new { trunk_name = "x" }), HttpStatusCode.BadRequest, "");
    }

    [Test]
    public async Task A_call_needs_twilio_and_models_that_are_here()
    {
        var assistant = await CreateAsync(Cartesia());
        var body = CallBody(assistant);
        AssertRefused(await Bench.Tenant.PostAsync("/call/outbound", CallBody(assistant, "exotel")), HttpStatusCode.BadRequest, "call_service");

        var refused = await Bench.Tenant.PostAsync("/call/outbound", body);
        AssertRefused(refused, HttpStatusCode.BadRequest, "'realtime.model': This installation has no realtime provider for 'openai/gpt-4o-realtime-preview'.");
        var v1 = await Bench.Tenant.PostAsync("/v1/calls", Bench.Body(null, assistant).ToJsonString());
        Assert.That((v1.Status, v1.Code, v1.Fields.Single()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, "assistant.provider_missing", "realtime.model")));
        Assert.That((await Bench.Tenant.BalanceAsync()).Held, Is.Zero);
        Assert.That(await Bench.CountAsync($"SELECT count(*) FROM call.calls WHERE tenant_id = '{Bench.Tenant.TenantId}'"), Is.Zero);

        await Bench.Tenant.PatchAsync($"/v1/assistants/{assistant}", LocalModels);
        var placed = await Bench.Tenant.PostAsync("/call/outbound", body);
        Assert.That((placed.Status, placed.Get<bool>("success")), Is.EqualTo((HttpStatusCode.OK, true)), placed.Body?.ToJsonString());
        Assert.That(placed.Body!["data"]!["call_id"]!.GetValue<string>(), Does.StartWith("cal"));
    }

    [Test]
    public async Task Placeholders_are_replaced_in_prompt_and_start_instruction_and_the_room_begins_with_the_assistant()
    {
        var assistant = await CreateAsync(Cartesia());
        await Bench.Tenant.PatchAsync($"/v1/assistants/{assistant}", LocalModels);
        var id = (await Bench.Tenant.PostAsync("/call/outbound", CallBody(assistant))).Body!["data"]!["call_id"]!.GetValue<string>();
        var call = await Bench.UntilAsync(id, "in_progress");

        var plan = (await Bench.SendAsync(new AttendSession(call["session_id"]!.GetValue<string>()))).Value;
        Assert.That(plan.Assistant.Prompt, Is.EqualTo("You are a helpful assistant. User name is John Doe."));
        Assert.That((plan.Assistant.Greeting.Text, plan.Assistant.Greeting.Mode), Is.EqualTo(("Hello John Doe, how can I help?", GreetingMode.Instruction)));
        Assert.That(plan.RoomName, Does.StartWith(assistant + "_"));
        Assert.That(plan.RoomName.Split('_')[0], Is.EqualTo(assistant));
    }

    [Test]
    public async Task The_end_call_payload_has_exactly_the_keys_of_the_seed()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        var assistant = await CreateAsync(Cartesia(receiver.Url));
        await Bench.Tenant.PatchAsync($"/v1/assistants/{assistant}", LocalModels);
        var id = (await Bench.Tenant.PostAsync("/call/outbound", CallBody(assistant))).Body!["data"]!["call_id"]!.GetValue<string>();
        var call = await Bench.UntilAsync(id, "in_progress");

        // It has gone on for a minute and three quarters.
        await Bench.ExecuteAsync($"""
            UPDATE session.sessions SET started_at = now() - interval '105 s' WHERE id = '{call["session_id"]}';
            UPDATE call.calls SET answered_at = now() - interval '105 s' WHERE id = '{id}'
            """);
        await Bench.TalkAsync(call["session_id"]!.GetValue<string>());

        var told = (await receiver.NextAsync()).Json;
        Assert.That(told.AsObject().Select(f => f.Key), Is.EqualTo(new[] { "success", "message", "data" }));
        Assert.That((told["success"]!.GetValue<bool>(), told["message"]!.GetValue<string>()), Is.EqualTo((true, "Call details fetched successfully")));
        var data = told["data"]!.AsObject();
        Assert.That(data.Select(f => f.Key), Is.EquivalentTo(new[]
        {
            "room_name", "assistant_id", "assistant_name", "to_number", "recording_path", "transcripts", "started_at", "ended_at", "call_duration_minutes",
        }));
        Assert.That((data["assistant_id"]!.GetValue<string>(), data["assistant_name"]!.GetValue<string>(), data["to_number"]!.GetValue<string>()), Is.EqualTo((assistant, "Support Agent", PhoneBench.To)));
        Assert.That(data["room_name"]!.GetValue<string>(), Does.StartWith(assistant + "_"));
        Assert.That(data["transcripts"]!.AsArray().Select(t => t!["speaker"]!.GetValue<string>()), Is.EqualTo(new[] { "agent", "user" }));
        Assert.That(data["transcripts"]![0]!.AsObject().Select(f => f.Key), Is.EquivalentTo(new[] { "speaker", "text", "timestamp" }));
        foreach (var time in new[] { data["started_at"], data["ended_at"], data["transcripts"]![0]!["timestamp"] })
        {
            Assert.That(time!.GetValue<string>(), Does.Match(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"));
        }

        var (answered, ended) = (data["started_at"]!.GetValue<DateTimeOffset>(), data["ended_at"]!.GetValue<DateTimeOffset>());
        Assert.That((ended - answered).TotalSeconds, Is.InRange(105, 115));
        var minutes = data["call_duration_minutes"]!.GetValue<decimal>();
        Assert.That((double)minutes, Is.EqualTo((ended - answered).TotalMinutes).Within(0.005001), "from the answer to the end");
        Assert.That(minutes, Is.EqualTo(decimal.Round(minutes, 2)), "two decimals");
    }

    [Test]
    public async Task An_inbound_caller_of_an_assistant_whose_models_are_not_here_is_refused_and_the_record_says_why()
    {
        var assistant = await CreateAsync(Cartesia());
        var trunk = (await Bench.Tenant.PostAsync("/v1/trunks", new { name = "In", direction = "inbound", allowed_addresses = new[] { "127.0.0.0/8" } })).Get<string>("id");
        await Bench.Tenant.PostAsync("/v1/numbers", new { number = "+15550200", trunk_id = trunk, assistant_id = assistant });
        Assert.That(async () => (await Bench.Tenant.GetAsync($"/v1/trunks/{trunk}")).Body!["sync"]!["status"]!.GetValue<string>(), Is.EqualTo("synced").After(20_000, 50));
        await FakeLiveKit.TellAsync(Bench.Host, PhoneBench.Ring("call-z1", Bench.LiveKit.InboundTrunks.Keys.Single(), "+15550200"));

        var call = (await Bench.Tenant.GetAsync("/v1/calls")).Body!["data"]!.AsArray().Single()!;
        Assert.That((call["status"]!.GetValue<string>(), call["cause"]!.GetValue<string>(), call["fault"]!.GetValue<string>()), Is.EqualTo(("failed", "provider_missing", "tenant")));
        Assert.That(() => Bench.LiveKit.DeletedRooms, Does.Contain("call-z1").After(20_000, 50));
    }

    private static object Cartesia(string endCallUrl = "https://your-webhook.com/call-end") => new
    {
        assistant_name = "Support Agent", assistant_description = "Customer support bot", assistant_prompt = "You are a helpful assistant. User name is {{name}}.",
        assistant_tts_model = "cartesia", assistant_tts_voice_id = "248be419-3632-4f38-9500-05f963499d7e", assistant_start_instruction = "Hello {{name}}, how can I help?",
        assistant_end_call_url = endCallUrl,
    };

    private static object TrunkBody() => new
    {
        trunk_name = "Twilio Trunk", trunk_address = "127.0.0.1:5070", trunk_numbers = new[] { "+1 (555) 010-0000" }, trunk_auth_username = "user", trunk_auth_password = "password",
        trunk_type = "twilio", trunk_region = "us1",
    };

    private object CallBody(string assistant, string service = "twilio") => new
    {
        assistant_id = assistant, trunk_id = Bench.Trunk, to_number = PhoneBench.To, call_service = service, metadata = new { name = "John Doe", customer_id = "12345" }, priority_hint = "high",
    };

    private async Task<string> CreateAsync(object body, TestTenant? by = null)
    {
        var made = await (by ?? Bench.Tenant).PostAsync("/assistant/create", body);
        Assert.That((made.Status, made.Get<bool>("success")), Is.EqualTo((HttpStatusCode.OK, true)), made.Body?.ToJsonString());
        return made.Body!["data"]!["assistant_id"]!.GetValue<string>();
    }

    private static void AssertRefused(Answer answer, HttpStatusCode status, string says)
    {
        Assert.That(answer.Status, Is.EqualTo(status), answer.Body?.ToJsonString());
        Assert.That(answer.Body!.AsObject().Select(f => f.Key), Is.EqualTo(new[] { "success", "message", "data" }));
        Assert.That((answer.Get<bool>("success"), answer.Body["data"]), Is.EqualTo((false, (JsonNode?)null)));
        Assert.That(answer.Get<string>("message"), Does.Contain(says));
    }

    /// <summary>Somebody else of the same tenant.</summary>
    private async Task<TestTenant> ColleagueAsync()
    {
        var user = await Bench.Tenant.PostAsync("/v1/users", new { name = "C", email = "colleague@example.com", role = "owner" });
        var key = await Bench.Tenant.PostAsync("/v1/keys", new { name = "c", scopes = new[] { "admin", "finance" }, user_id = user.Get<string>("id") });
        return Bench.Tenant.WithKey(key.Get<string>("key"));
    }
}
