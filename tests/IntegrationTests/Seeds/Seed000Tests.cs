using System.Net;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using VoicePlatform.IntegrationTests.Support;
using VoicePlatform.LiveKit;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.ServerApi;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.Sessions.Compat;
using VoicePlatform.SharedKernel;

namespace VoicePlatform.IntegrationTests.Seeds;

/// <summary>Seed 000 as its clients know it: the starter's session, chat and settings, and both sides of the AI server's door.</summary>
internal sealed class Seed000Tests
{
    private const string Start = "/v1/livekit/starter/session/start";
    private const string Chat = "/v1/livekit/starter/agent/chat";
    private const string Settings = "/v1/livekit/starter/agent-settings";
    private const string Join = "/livekit/agent-session";
    private const string Secret = "what both sides know";

    private static string Device => $"device-{TestContext.CurrentContext.Test.ID}";

    [TestCase("""{"deviceId": "device-1"}""", "username")]
    [TestCase("""{"username": "", "deviceId": "device-1"}""", "username")]
    [TestCase("""{"username": " ", "deviceId": "device-1"}""", "username")]
    [TestCase("""{"username": 7, "deviceId": "device-1"}""", "username")]
    [TestCase("""{"username": "Ada"}""", "deviceId")]
    [TestCase("""{"username": "Ada", "deviceId": "seven-7"}""", "deviceId")]
    [TestCase("""{"username": "Ada", "deviceId": "$129"}""", "deviceId")]
    [TestCase("""{"username": "Ada", "deviceId": "device 01"}""", "deviceId")]
    [TestCase("""{"username": "Ada", "deviceId": "device-01\n"}""", "deviceId")]
    public async Task Start_without_a_good_username_or_device_is_400_and_names_the_field(string body, string field)
    {
        await using var host = await SharedAsync();
        var answer = await host.SendAsync(HttpMethod.Post, Start, null, body.Replace("$129", new string('a', 129), StringComparison.Ordinal));
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.BadRequest), answer.Body?.ToJsonString());
        Assert.That(answer.Fields, Is.EqualTo(new[] { field }));
    }

    [TestCase(8)]
    [TestCase(128)]
    public async Task Start_gives_a_device_a_room_and_a_token_for_it(int length)
    {
        await using var host = await SharedAsync();
        var device = new string('d', length - 2) + "-1";
        var answer = await host.SendAsync(HttpMethod.Post, Start, null, new { username = "Ada", deviceId = device, appVersion = "1.2" });
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.OK), answer.Body?.ToJsonString());
        Assert.That(new TokenVerifier(host.Services.GetRequiredService<LiveKitServer>().Key, TimeProvider.System).TryVerify(answer.Get<string>("token"), out var token, out var refusal), Is.True, refusal);
        Assert.That((token!.Token.Identity, token.Token.Name, token.Token.Video!.Room), Is.EqualTo((device, "Ada", answer.Get<string>("roomName"))));
        Assert.That((answer.Get<string>("identity"), answer.Get<string>("agentIdentity")), Is.EqualTo((device, "assistant-ai-agent")));
        Assert.That(await host.SqlAsync("SELECT amount FROM billing.holds WHERE subject_id = $1 AND status = 'active'", answer.Get<string>("sessionId")), Is.Positive);
    }

    [Test]
    public async Task Without_credits_start_and_chat_are_402()
    {
        await using var host = await SharedAsync(("BILLING_SIGNUP_CREDITS", "0"));
        Assert.That((await host.SendAsync(HttpMethod.Post, Start, null, new { username = "Ada", deviceId = "device-1" })).Status, Is.EqualTo(HttpStatusCode.PaymentRequired));
        Assert.That((await host.SendAsync(HttpMethod.Post, Chat, null, new { deviceId = "device-1", message = "hello" })).Status, Is.EqualTo(HttpStatusCode.PaymentRequired));
    }

    [Test]
    public async Task Get_after_put_returns_what_was_stored_and_no_speech_provider_is_among_it()
    {
        await using var host = await SharedAsync();
        var empty = await host.SendAsync(HttpMethod.Get, $"{Settings}/{Device}", null);
        Assert.That((empty.Status, empty.Get<string>("deviceId")), Is.EqualTo((HttpStatusCode.OK, Device)));

        var put = await host.SendAsync(HttpMethod.Put, $"{Settings}/{Device}", null, new
        {
            language = "en", nickname = "Ada", theme = new { dark = true }, sttProvider = "deepgram", ttsApiKey = "secret", voiceId = "v", llm_model = "m",
        });
        Assert.That(put.Status, Is.EqualTo(HttpStatusCode.OK), put.Body?.ToJsonString());
        var got = await host.SendAsync(HttpMethod.Get, $"{Settings}/{Device}", null);
        Assert.That(JsonNode.DeepEquals(got.Body, put.Body), Is.True, got.Body?.ToJsonString());
        Assert.That(got.Body!.AsObject().Select(f => f.Key), Is.EquivalentTo(new[] { "language", "nickname", "theme", "deviceId", "updatedAt" }));
        Assert.That((got.Get<string>("language"), got.Body!["theme"]!["dark"]!.GetValue<bool>()), Is.EqualTo(("en", true)));

        await host.SendAsync(HttpMethod.Put, $"{Settings}/{Device}", null, new { language = "fr" });
        Assert.That((await host.SendAsync(HttpMethod.Get, $"{Settings}/{Device}", null)).Body!.AsObject().Select(f => f.Key), Is.EquivalentTo(new[] { "language", "deviceId", "updatedAt" }));
        Assert.That((await host.SendAsync(HttpMethod.Get, $"{Settings}/{Device}-2", null)).Body!["language"], Is.Null);
        foreach (var (device, body) in new[] { ("short", "{}"), ("device%201", "{}"), (Device, "[]"), (Device, "nonsense") })
        {
            Assert.That((await host.SendAsync(HttpMethod.Put, $"{Settings}/{device}", null, body)).Status, Is.EqualTo(HttpStatusCode.BadRequest), $"{device} {body}");
        }
    }

    [Test]
    public async Task Chat_answers_through_ollama_and_remembers_the_devices_conversation()
    {
        await using var ollama = await FakeOllama.StartAsync();
        await using var host = await HostAsync(("OLLAMA_BASE_URL", ollama.Url + "/"), ("OLLAMA_MODEL", "ministral-3:8b"), ("OLLAMA_TIMEOUT_MS", "20000"));
        ollama.Answer = asked => $"You said {asked["messages"]!.AsArray().Count(m => m!["role"]!.GetValue<string>() == "user")} things.";
        await host.SendAsync(HttpMethod.Put, $"{Settings}/device-1", null, new { prompt = "Speak {{language}} with {{username}}.", language = "French" });

        var first = await host.SendAsync(HttpMethod.Post, Chat, null, new { deviceId = "device-1", message = "I am called Ada.", username = "Ada", extra = 1 });
        Assert.That((first.Status, first.Body?["reply"]?.GetValue<string>()), Is.EqualTo((HttpStatusCode.OK, "You said 1 things.")), first.Body?.ToJsonString());
        var second = await host.SendAsync(HttpMethod.Post, Chat, null, new { deviceId = "device-1", message = "What am I called?" });
        Assert.That((second.Get<string>("reply"), second.Get<int>("turn"), second.Get<string>("sessionId")), Is.EqualTo(("You said 2 things.", 2, first.Get<string>("sessionId"))));
        Assert.That(ollama.Asked.Select(a => a["model"]!.GetValue<string>()), Is.All.EqualTo("ministral-3:8b"));
        Assert.That(
            ollama.Asked.Last()["messages"]!.AsArray().Select(m => $"{m!["role"]}: {(m["content"] is JsonArray parts ? parts[0]!["text"] : m["content"])}"),
            Is.EqualTo(new[] { "system: Speak French with Ada.", "user: I am called Ada.", "assistant: You said 1 things.", "user: What am I called?" }));

        var other = await host.SendAsync(HttpMethod.Post, Chat, null, new { deviceId = "device-2", text = "Hello" });
        Assert.That((other.Get<string>("reply"), other.Get<int>("turn")), Is.EqualTo(("You said 1 things.", 1)));
        var tenant = await host.CompatTenantAsync();
        Assert.That((await tenant.GetAsync($"/v1/sessions/{first.Get<string>("sessionId")}/transcript")).Body!["data"]!.AsArray(), Has.Count.EqualTo(4));
        Assert.That(
            (await tenant.GetAsync($"/v1/sessions/{first.Get<string>("sessionId")}/usage")).Body!["data"]!.AsArray().Select(u => u!["provider"]!.GetValue<string>()), Does.Contain("ollama"));
    }

    [Test]
    public async Task An_ollama_that_fails_or_stalls_is_503_within_its_time()
    {
        await using var ollama = await FakeOllama.StartAsync();
        await using var host = await HostAsync(("OLLAMA_BASE_URL", ollama.Url), ("OLLAMA_MODEL", "ministral-3:8b"), ("OLLAMA_TIMEOUT_MS", "700"));
        ollama.Model = "another-model";
        var missing = await host.SendAsync(HttpMethod.Post, Chat, null, new { deviceId = "device-1", message = "hello" });
        Assert.That((missing.Status, missing.Code), Is.EqualTo((HttpStatusCode.ServiceUnavailable, "agent.provider_failed")));

        (ollama.Model, ollama.Loads) = ("ministral-3:8b", TimeSpan.FromSeconds(30));
        var began = TimeProvider.System.GetTimestamp();
        Assert.That((await host.SendAsync(HttpMethod.Post, Chat, null, new { deviceId = "device-2", message = "hello" })).Status, Is.EqualTo(HttpStatusCode.ServiceUnavailable));
        Assert.That(TimeProvider.System.GetElapsedTime(began), Is.LessThan(TimeSpan.FromSeconds(8)));
    }

    [Test]
    public async Task Without_ollama_the_assistants_own_model_chats_and_after_a_goodbye_a_new_conversation_begins()
    {
        await using var host = await SharedAsync();
        var first = await host.SendAsync(HttpMethod.Post, Chat, null, new { deviceId = Device, message = "hello there" });
        Assert.That(first.Get<string>("reply"), Is.EqualTo("Hello, how can I help you today?"));
        var bye = await host.SendAsync(HttpMethod.Post, Chat, null, new { deviceId = Device, message = "goodbye" });
        Assert.That((bye.Get<bool>("ended"), bye.Get<string>("sessionId")), Is.EqualTo((true, first.Get<string>("sessionId"))));
        var next = await host.SendAsync(HttpMethod.Post, Chat, null, new { deviceId = Device, message = "hello" });
        Assert.That((next.Get<int>("turn"), next.Get<string>("sessionId")), Is.EqualTo((1, next.Get<string>("sessionId"))));
        Assert.That(next.Get<string>("sessionId"), Is.Not.EqualTo(first.Get<string>("sessionId")));
        foreach (var (body, field) in new[] { ("""{"message": "x"}""", "deviceId"), ("""{"deviceId": "device-1"}""", "message"), ("""{"deviceId": "device-1", "message": ""}""", "message") })
        {
            var refused = await host.SendAsync(HttpMethod.Post, Chat, null, body);
            Assert.That((refused.Status, refused.Fields.Single()), Is.EqualTo((HttpStatusCode.BadRequest, field)));
        }
    }

    [Test]
    public async Task First_messages_at_once_are_one_conversation()
    {
        await using var host = await SharedAsync();
        var answers = await Task.WhenAll(Enumerable.Range(0, 6).Select(n => host.SendAsync(HttpMethod.Post, Chat, null, new { deviceId = Device, message = $"hello {n}" })));
        Assert.That(answers.Select(a => a.Status), Has.Some.EqualTo(HttpStatusCode.OK).And.All.AnyOf(HttpStatusCode.OK, HttpStatusCode.Conflict));
        Assert.That((await (await host.CompatTenantAsync()).GetAsync("/v1/sessions?limit=100")).Body!["data"]!.AsArray().Count(s => s!["participant_identity"]!.GetValue<string>() == Device), Is.EqualTo(1));
    }

    [TestCase("/v1/livekit/starter/stt/transcribe")]
    [TestCase("/v1/livekit/starter/tts/synthesize")]
    [TestCase("/v1/livekit/stt/transcribe")]
    [TestCase("/v1/livekit/tts/synthesize")]
    [TestCase("/v1/admin/livekit/stt/transcribe")]
    [TestCase("/v1/admin/livekit/tts/synthesize")]
    public async Task The_removed_routes_stay_404(string path)
    {
        await using var host = await SharedAsync();
        Assert.That((await host.SendAsync(HttpMethod.Post, path, null, new { text = "x" })).Status, Is.EqualTo(HttpStatusCode.NotFound));
        Assert.That((await host.SendAsync(HttpMethod.Get, path, null)).Status, Is.EqualTo(HttpStatusCode.NotFound));
    }

    [TestCase(null, "/livekit/agent-session")]
    [TestCase("/rooms/join", "/rooms/join")]
    public async Task With_an_ai_server_exactly_one_post_carries_token_voice_mode_and_device(string? path, string expected)
    {
        await using var ai = await FakeAiServer.StartAsync();
        await using var host = await HostAsync(("AI_SERVER_URL", ai.Url + "/"), ("AI_SERVER_SHARED_SECRET", Secret), ("AI_SERVER_LIVEKIT_JOIN_PATH", path ?? ""), ("LIVEKIT_AGENT_IDENTITY", "house-agent"));
        var answer = await host.SendAsync(HttpMethod.Post, Start, null, new { username = "Ada", deviceId = "device-1" });
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.OK), answer.Body?.ToJsonString());

        var asked = ai.Asked.Single();
        Assert.That((asked.Path, asked.Authorization, asked.Secret), Is.EqualTo((expected, $"Bearer {Secret}", Secret)));
        Assert.That((Text("voiceMode"), Text("roomName"), Text("livekitUrl")), Is.EqualTo(("assistant_native_audio", answer.Get<string>("roomName"), answer.Get<string>("livekitUrl"))));
        Assert.That((asked.Body["payload"]!["deviceId"]!.GetValue<string>(), asked.Body["payload"]!["username"]!.GetValue<string>()), Is.EqualTo(("device-1", "Ada")));
        Assert.That(new TokenVerifier(host.Services.GetRequiredService<LiveKitServer>().Key, TimeProvider.System).TryVerify(Text("token"), out var token, out var refusal), Is.True, refusal);
        Assert.That((token!.Token.Identity, token.Token.Kind, token.Token.Video!.Room, token.Token.Video.RoomJoin, token.Token.Video.CanPublish), Is.EqualTo(("house-agent", "agent", answer.Get<string>("roomName"), true, true)));
        var livekit = host.Services.GetRequiredService<LiveKitApi>();
        Assert.That((await livekit.Dispatches.ListAsync(answer.Get<string>("roomName"), null, default)).Where(d => d.AgentName.Length > 0), Is.Empty, "ours is not sent as well");
        await livekit.Rooms.DeleteAsync(answer.Get<string>("roomName"), default);

        string Text(string name) => asked.Body[name]!.GetValue<string>();
    }

    [TestCase(500, 0)]
    [TestCase(401, 0)]
    [TestCase(200, 20)]
    [TestCase(0, 0)]
    public async Task An_ai_server_that_refuses_stalls_or_is_away_is_503_asked_once_and_nothing_stays_held(int status, int seconds)
    {
        var ai = await FakeAiServer.StartAsync();
        (ai.Status, ai.Takes) = (status, TimeSpan.FromSeconds(seconds));
        await using var host = await HostAsync(("AI_SERVER_URL", ai.Url), ("AI_SERVER_SHARED_SECRET", Secret), ("AI_SERVER_TIMEOUT_MS", "800"));
        if (status == 0)
        {
            await ai.DisposeAsync();
        }

        var began = TimeProvider.System.GetTimestamp();
        var answer = await host.SendAsync(HttpMethod.Post, Start, null, new { username = "Ada", deviceId = "device-1" });
        Assert.That((answer.Status, answer.Code), Is.EqualTo((HttpStatusCode.ServiceUnavailable, "ai_server.unavailable")), answer.Body?.ToJsonString());
        Assert.That(TimeProvider.System.GetElapsedTime(began), Is.LessThan(TimeSpan.FromSeconds(8)));
        Assert.That(answer.Headers, Does.ContainKey("Retry-After"));
        Assert.That(answer.Body!.ToJsonString(), Does.Not.Contain(Secret));
        var tenant = await host.CompatTenantAsync();
        Assert.That((await tenant.BalanceAsync()).Held, Is.Zero);
        Assert.That((await tenant.GetAsync("/v1/sessions")).Body!["data"]!.AsArray().Single()!["ended_reason"]!.GetValue<string>(), Is.EqualTo("never_started"));
        await ai.DisposeAsync();
        Assert.That(ai.Asked, Has.Count.EqualTo(status == 0 ? 0 : 1));
    }

    [TestCase("AI_SERVER_URL", "nonsense")]
    [TestCase("AI_SERVER_TIMEOUT_MS", "soon")]
    public void A_wrong_setting_stops_the_start(string name, string value) =>
        Assert.That(async () => await HostAsync(("AI_SERVER_SHARED_SECRET", Secret), (name, value)), Throws.Exception.With.Message.Contains(name));

    [Test]
    public async Task The_ai_servers_side_asks_for_the_secret_and_a_token_that_opens_a_room()
    {
        await using var host = await HostAsync(("AI_SERVER_SHARED_SECRET", Secret));
        var key = host.Services.GetRequiredService<LiveKitServer>().Key;
        var now = TimeProvider.System.GetUtcNow();
        var good = new AccessToken { Identity = "assistant-ai-agent", Video = new() { RoomJoin = true, Room = "r" } }.Sign(key, now);
        object Body(string? token = null, string mode = "assistant_native_audio", string? device = "device-1") => new { token = token ?? good, voiceMode = mode, payload = new { deviceId = device } };

        Assert.That((await host.SendAsync(HttpMethod.Post, Join, null, Body())).Status, Is.EqualTo(HttpStatusCode.Unauthorized));
        Assert.That((await host.SendAsync(HttpMethod.Post, Join, null, Body(), ("x-shared-secret", "guess"))).Status, Is.EqualTo(HttpStatusCode.Unauthorized));
        Assert.That((await host.SendAsync(HttpMethod.Post, Join, null, Body(), ("Authorization", "Bearer guess"))).Status, Is.EqualTo(HttpStatusCode.Unauthorized));

        var old = new AccessToken { Identity = "a", Video = new() { RoomJoin = true, Room = "r" } }.Sign(key, now.AddHours(-9));
        var roomless = new AccessToken { Identity = "a" }.Sign(key, now);
        foreach (var (body, field) in new[] { (Body("nonsense"), "token"), (Body("a.b.c"), "token"), (Body(""), "token"), (Body(old), "token"), (Body(roomless), "token"), (Body(mode: "telepathy"), "voiceMode"), (Body(device: null), "payload.deviceId") })
        {
            var refused = await host.SendAsync(HttpMethod.Post, Join, null, body, ("x-shared-secret", Secret));
            Assert.That((refused.Status, refused.Fields.Single()), Is.EqualTo((HttpStatusCode.BadRequest, field)));
        }

        await using var closed = await SharedAsync();
        Assert.That((await closed.SendAsync(HttpMethod.Post, Join, null, Body(), ("x-shared-secret", ""))).Status, Is.EqualTo(HttpStatusCode.NotFound));
    }

    [Test]
    [RealTime]
    public async Task Without_an_ai_server_our_agent_joins_as_assistant_ai_agent_and_greets_the_device()
    {
        await using var host = await TestHost.StartWithAgentAsync(("COMPAT_TENANT", "on"));
        await host.SendAsync(HttpMethod.Put, $"{Settings}/device-1", null, new { greeting = "Good morning {{username}}." });
        var answer = await host.SendAsync(HttpMethod.Post, Start, null, new { username = "Ada", deviceId = "device-1" });
        await using var visitor = await Visitor.JoinAsync(answer.Get<string>("livekitUrl"), answer.Get<string>("token"));
        await visitor.UntilAsync(() => visitor.Others.Contains("assistant-ai-agent") && visitor.Shown.Contains("assistant-ai-agent: Good morning Ada."), "the agent");
    }

    [TestCase("x-shared-secret", "")]
    [TestCase("Authorization", "Bearer ")]
    [RealTime]
    public async Task The_ai_servers_side_joins_the_room_it_was_given_a_token_for_once(string header, string before)
    {
        await using var host = await TestHost.StartWithAgentAsync(("COMPAT_TENANT", "on"), ("AI_SERVER_SHARED_SECRET", Secret));
        var server = host.Services.GetRequiredService<LiveKitServer>();
        await host.Services.GetRequiredService<LiveKitApi>().Rooms.CreateAsync(new CreateRoomRequest { Name = "elsewhere" }, default);
        var now = TimeProvider.System.GetUtcNow();
        var body = new
        {
            token = new AccessToken { Identity = "assistant-ai-agent", Kind = "agent", Video = new() { RoomJoin = true, Room = "elsewhere", CanUpdateOwnMetadata = true } }.Sign(server.Key, now),
            livekitUrl = server.HttpUrl.ToString(), voiceMode = "assistant_native_audio", payload = new { deviceId = "device-1" },
        };
        var first = await host.SendAsync(HttpMethod.Post, Join, null, body, (header, before + Secret));
        Assert.That(first.Status, Is.EqualTo(HttpStatusCode.OK), first.Body?.ToJsonString());
        var again = await host.SendAsync(HttpMethod.Post, Join, null, body, (header, before + Secret));
        Assert.That((again.Status, again.Get<string>("sessionId"), again.Get<string>("status")), Is.EqualTo((HttpStatusCode.OK, first.Get<string>("sessionId"), "joined")));

        await using var visitor = await Visitor.JoinAsync(
            server.WebSocketUrl.ToString(), new AccessToken { Identity = "device-1", Video = new() { RoomJoin = true, Room = "elsewhere" } }.Sign(server.Key, now));
        await visitor.UntilAsync(() => visitor.Shown.Contains("assistant-ai-agent: Hello, how can I help you today?") && visitor.AudibleFrames > 20, "the agent");
        await visitor.WriteAsync("goodbye");
        var tenant = await host.CompatTenantAsync();
        await visitor.UntilAsync(
            () => tenant.GetAsync($"/v1/sessions/{first.Get<string>("sessionId")}").GetAwaiter().GetResult().Body!["ended_reason"]?.GetValue<string>() == "assistant_ended", "the end");
        Assert.That((await tenant.BalanceAsync()).Held, Is.Zero);
    }

    [Test]
    [RealTime]
    public async Task A_conversation_held_by_somebody_elses_agent_starts_with_its_caller_and_is_charged_to_its_end()
    {
        await using var ai = await FakeAiServer.StartAsync();
        await using var host = await TestHost.StartWithAgentAsync(("COMPAT_TENANT", "on"), ("AI_SERVER_URL", ai.Url), ("AI_SERVER_SHARED_SECRET", Secret));
        var answer = await host.SendAsync(HttpMethod.Post, Start, null, new { username = "Ada", deviceId = "device-1" });
        var tenant = await host.CompatTenantAsync();
        await using (var agent = await Visitor.JoinAsync(answer.Get<string>("livekitUrl"), ai.Asked.Single().Body["token"]!.GetValue<string>()))
        await using (var visitor = await Visitor.JoinAsync(answer.Get<string>("livekitUrl"), answer.Get<string>("token")))
        {
            await visitor.UntilAsync(() => visitor.Others.SequenceEqual(["assistant-ai-agent"]), "the other agent, and ours not beside it");
            Assert.That(async () => (await SessionAsync())["status"]!.GetValue<string>(), Is.EqualTo("active").After(15_000, 200));
        }

        // LiveKit tells that the room is over once everybody has left it for a while; here it is deleted.
        await host.Services.GetRequiredService<LiveKitApi>().Rooms.DeleteAsync(answer.Get<string>("roomName"), default);
        Assert.That(async () => (await SessionAsync())["ended_reason"]?.GetValue<string>(), Is.EqualTo("caller_left").After(15_000, 200));
        Assert.That((await SessionAsync())["cost"]!.GetValue<long>(), Is.Positive);
        Assert.That((await tenant.BalanceAsync()).Held, Is.Zero);

        async Task<JsonNode> SessionAsync() => (await tenant.GetAsync($"/v1/sessions/{answer.Get<string>("sessionId")}")).Body!;
    }

    [Test]
    public async Task Hosts_that_start_together_make_one_tenant_and_one_assistant()
    {
        await using var host = await TestHost.StartAsync();
        var options = new CompatOptions();
        options.Read(new ConfigurationBuilder().Build(), isDevelopment: true);
        var starting = Enumerable.Range(0, 6).Select(_ => new CompatTenant(Options.Create(options), host.Services.GetRequiredService<Transactions>())).ToList();
        await Task.WhenAll(starting.Select(t => t.StartAsync(default)));

        Assert.That(starting.Select(t => (t.TenantId, t.AssistantId)).Distinct().Count(), Is.EqualTo(1));
        var tenant = await host.CompatTenantAsync();
        Assert.That(tenant.TenantId, Is.EqualTo(starting[0].TenantId));
        Assert.That((await tenant.GetAsync("/v1/assistants")).Body!["data"]!.AsArray().Single()!["id"]!.GetValue<string>(), Is.EqualTo(starting[0].AssistantId));
        Assert.That(await tenant.BalanceAsync(), Is.EqualTo((1_000_000_000L, 0L)), "as any new tenant");

        // An assistant that was deleted is made again at the next start.
        await tenant.DeleteAsync($"/v1/assistants/{starting[0].AssistantId}");
        await starting[1].StartAsync(default);
        Assert.That(starting[1].AssistantId, Is.Not.EqualTo(starting[0].AssistantId));
    }

    [Test]
    public async Task A_tenant_of_the_operators_own_may_stand_behind_the_doors()
    {
        await using var host = await TestHost.SharedAsync();
        var tenant = await host.SignUpAsync();
        var options = new CompatOptions();
        options.Read(new ConfigurationBuilder().AddInMemoryCollection([new("COMPAT_TENANT", tenant.TenantId)]).Build(), isDevelopment: false);
        var compat = new CompatTenant(Options.Create(options), host.Services.GetRequiredService<Transactions>());
        await compat.StartAsync(default);
        Assert.That(compat.TenantId, Is.EqualTo(tenant.TenantId));
        Assert.That((await tenant.GetAsync($"/v1/assistants/{compat.AssistantId}")).Get<string>("name"), Is.EqualTo("Assistant"));
    }

    [TestCase("""a\u0000b""")]
    [TestCase("""a\ud800b""")]
    public async Task Text_that_no_database_keeps_is_400_wherever_it_stands(string text)
    {
        await using var host = await SharedAsync();
        var tenant = await host.SignUpAsync();
        var assistant = await tenant.CreateAssistantAsync();
        Answer[] answers =
        [
            await host.SendAsync(HttpMethod.Post, Start, null, $$"""{"username": "{{text}}", "deviceId": "device-1"}"""),
            await host.SendAsync(HttpMethod.Post, Chat, null, $$"""{"deviceId": "device-1", "message": "{{text}}"}"""),
            await host.SendAsync(HttpMethod.Post, Chat, null, $$"""{"deviceId": "device-2", "username": "{{text}}", "message": "hello"}"""),
            await host.SendAsync(HttpMethod.Put, $"{Settings}/device-1", null, $$"""{"nickname": "{{text}}"}"""),
            await host.SendAsync(HttpMethod.Put, $"{Settings}/device-1", null, $$"""{"{{text}}": "nickname"}"""),
            await host.SendAsync(HttpMethod.Post, "/auth/create-key", null, $$"""{"user_name": "{{text}}", "org_name": "x", "user_email": "a@example.com"}"""),
            await tenant.PostAsync("/assistant/create", $$"""{"assistant_name": "{{text}}", "assistant_prompt": "x", "assistant_tts_model": "sarvam", "assistant_tts_speaker": "meera"}"""),
            await tenant.PostAsync("/v1/sessions", $$$"""{"assistant_id": "{{{assistant}}}", "metadata": {"a": "{{{text}}}"}}"""),
            await tenant.PostAsync("/v1/token", $$$"""{"participant_metadata": "{{{text}}}", "room_config": {"agents": [{"metadata": "{{{text}}}"}]}}"""),
        ];
        Assert.That(answers.Select(a => (int)a.Status), Is.All.AnyOf(400, 422), string.Join(" | ", answers.Select(a => $"{(int)a.Status} {a.Body?.ToJsonString()}")));
        var session = await host.SendAsync(HttpMethod.Post, "/session", null, $$$"""{"userIdentity": "user-1", "agentConfig": {"prompt": "{{{text}}}", "greeting": "{{{text}}}"}}""");
        Assert.That((int)session.Status, Is.AnyOf(200, 400));
    }

    private static Task<TestHost> SharedAsync(params (string, string)[] settings) => TestHost.SharedAsync([("COMPAT_TENANT", "on"), .. settings]);

    private static Task<TestHost> HostAsync(params (string, string)[] settings) => TestHost.StartAsync([("COMPAT_TENANT", "on"), .. settings]);
}
