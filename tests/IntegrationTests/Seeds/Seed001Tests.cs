using System.Net;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using VoicePlatform.IntegrationTests.Calls;
using VoicePlatform.IntegrationTests.Support;
using VoicePlatform.LiveKit;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.ServerApi;
using VoicePlatform.LiveKit.Tokens;

namespace VoicePlatform.IntegrationTests.Seeds;

/// <summary>Seed 001 as its clients know it: /session, /session/end, /health; the telephony webhook and look-ups.</summary>
internal sealed class Seed001Tests
{
    private const string Greeting = "Hi I’m Maya, how can I help you today?";

    private static readonly object Local = new { stt = "local/pocketsphinx", tts = "local/flite:slt", llm = "local/script", greeting = $"Say, '{Greeting}'" };

    private TestHost _host = null!;

    [SetUp]
    public async Task SetUpAsync() => _host = await TestHost.SharedAsync(("COMPAT_TENANT", "on"));

    [TearDown]
    public async Task TearDownAsync() => await _host.DisposeAsync();

    [TestCase("""{}""", "userIdentity")]
    [TestCase("""{"userIdentity": ""}""", "userIdentity")]
    [TestCase("""{"userIdentity": "user 1"}""", "userIdentity")]
    [TestCase("""{"userIdentity": "$129"}""", "userIdentity")]
    [TestCase("""{"userIdentity": "user-1\n"}""", "userIdentity")]
    [TestCase("""{"userIdentity": "user-1", "roomName": "my room"}""", "roomName")]
    [TestCase("""{"userIdentity": "user-1", "roomName": "agent_x_y_1"}""", "roomName")]
    [TestCase("""{"userIdentity": "user-1", "roomName": "call-1"}""", "roomName")]
    [TestCase("""{"userIdentity": "user-1", "roomName": "number-1"}""", "roomName")]
    [TestCase("""{"userIdentity": "user-1", "roomName": "outbound-1"}""", "roomName")]
    [TestCase("""{"userIdentity": 7}""", "userIdentity")]
    public async Task A_session_without_a_good_identity_or_room_is_400_and_names_the_field(string body, string field)
    {
        var answer = await PostAsync("/session", body.Replace("$129", new string('a', 129), StringComparison.Ordinal));
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.BadRequest), answer.Body?.ToJsonString());
        Assert.That(answer.Fields, Does.Contain(field));
    }

    [Test]
    public async Task An_identity_of_128_characters_gets_a_token_for_a_generated_room()
    {
        var identity = new string('a', 128);
        var answer = await PostAsync("/session", new { userIdentity = identity });
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.OK), answer.Body?.ToJsonString());
        Assert.That(answer.Body!.AsObject().Select(f => f.Key), Is.EquivalentTo(new[] { "userToken", "roomName", "livekitUrl", "agentDispatched", "agentConfig" }));
        Assert.That(answer.Get<string>("roomName"), Does.Match("^room-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"));
        Assert.That(answer.Get<bool>("agentDispatched"), Is.True);
        Assert.That(answer.Body!["agentConfig"]!.AsObject(), Is.Empty);

        var token = Verified(answer.Get<string>("userToken"));
        Assert.That((token.Token.Identity, token.Token.Video!.Room, token.Token.Video.RoomJoin), Is.EqualTo((identity, answer.Get<string>("roomName"), true)));
        Assert.That((await PostAsync("/session", new { userIdentity = identity })).Get<string>("roomName"), Is.Not.EqualTo(answer.Get<string>("roomName")));
    }

    [Test]
    public async Task Unknown_keys_are_ignored_the_echo_has_four_and_the_dispatch_all_stable_ones()
    {
        var answer = await PostAsync("/session", new
        {
            userIdentity = "user-123",
            roomName = "my-room",
            somethingElse = 1,
            agentConfig = new
            {
                stt = "local/pocketsphinx", tts = "local/flite:slt", llm = "local/script", prompt = "Be brief.", greeting = "Say, 'Hi'", realtime = false, realtime_model = "gpt-4o-realtime-preview",
                realtime_voice = "sage", vad_enabled = true, turn_detection_enabled = true, noise_cancellation_enabled = true, noise_cancellation_type = "auto", colour = "blue",
            },
        });
        Assert.That((answer.Status, answer.Get<bool>("agentDispatched"), answer.Get<string>("roomName")), Is.EqualTo((HttpStatusCode.OK, true, "my-room")), answer.Body?.ToJsonString());
        Assert.That(
            answer.Body!["agentConfig"]!.ToJsonString(), Is.EqualTo("""{"stt":"local/pocketsphinx","tts":"local/flite:slt","llm":"local/script","realtime":false}"""));

        var metadata = JsonNode.Parse((await _host.Services.GetRequiredService<LiveKitApi>().Dispatches.ListAsync("my-room", null, default)).Single().Metadata)!.AsObject();
        Assert.That(metadata.Select(f => f.Key), Is.EquivalentTo(new[]
        {
            "session_id", "stt", "tts", "llm", "prompt", "greeting", "realtime", "realtime_model", "realtime_voice", "vad_enabled", "turn_detection_enabled", "noise_cancellation_enabled",
            "noise_cancellation_type",
        }));
        Assert.That((metadata["prompt"]!.GetValue<string>(), metadata["vad_enabled"]!.GetValue<bool>()), Is.EqualTo(("Be brief.", true)));
    }

    [TestCase("""{"stt": "assemblyai/universal-streaming:en"}""", "assemblyai")]
    [TestCase("""{"tts": "cartesia/sonic-3:9626c31c-bec5-4cca-baa8-f8ba9e84c8bc"}""", "cartesia")]
    [TestCase("""{"llm": "openai/gpt-4o-mini"}""", "OPENAI_API_KEY")]
    [TestCase("""{"realtime": true, "realtime_model": "gpt-4o-realtime-preview", "realtime_voice": "sage"}""", "realtime")]
    [TestCase("""{"stt": "not a descriptor"}""", "provider/model")]
    public async Task A_provider_that_is_not_here_answers_200_without_an_agent_and_the_sessions_events_say_why(string config, string why)
    {
        var room = $"absent-{TestContext.CurrentContext.Test.ID}";
        var answer = await PostAsync("/session", $$"""{"userIdentity": "user-1", "roomName": "{{room}}", "agentConfig": {{config}}}""");
        Assert.That((answer.Status, answer.Get<bool>("agentDispatched")), Is.EqualTo((HttpStatusCode.OK, false)), answer.Body?.ToJsonString());
        Assert.That(Verified(answer.Get<string>("userToken")).Token.Video!.Room, Is.EqualTo(room));

        var tenant = await _host.CompatTenantAsync();
        var session = (await tenant.GetAsync("/v1/sessions?limit=100")).Body!["data"]!.AsArray().Single(s => s!["room_name"]?.GetValue<string>() == room)!["id"]!.GetValue<string>();
        var note = (await tenant.GetAsync($"/v1/sessions/{session}/events")).Body!["data"]!.AsArray().Single()!;
        Assert.That((note["kind"]!.GetValue<string>(), note["detail"]!.GetValue<string>()), Is.EqualTo(("agent.absent", note["detail"]!.GetValue<string>())));
        Assert.That(note["detail"]!.GetValue<string>(), Does.Contain(why));
        Assert.That(await _host.SqlAsync("SELECT count(*) FROM billing.holds WHERE subject_id = $1 AND status = 'active'", session), Is.Zero);
        Assert.That((await PostAsync("/session/end", new { roomName = room })).Status, Is.EqualTo(HttpStatusCode.NoContent));
    }

    [Test]
    public async Task Without_credits_there_is_a_room_and_no_agent()
    {
        await using var poor = await TestHost.SharedAsync(("COMPAT_TENANT", "on"), ("BILLING_SIGNUP_CREDITS", "0"));
        var answer = await poor.SendAsync(HttpMethod.Post, "/session", null, new { userIdentity = "user-1" });
        Assert.That((answer.Status, answer.Get<bool>("agentDispatched")), Is.EqualTo((HttpStatusCode.OK, false)));
    }

    [Test]
    public async Task End_gives_204_then_404_and_the_name_is_free_again()
    {
        for (var time = 1; time <= 3; time++)
        {
            var started = await PostAsync("/session", new { userIdentity = "user-1", roomName = "demo" });
            Assert.That((started.Status, started.Get<bool>("agentDispatched")), Is.EqualTo((HttpStatusCode.OK, true)), $"time {time}: {started.Body?.ToJsonString()}");
            Assert.That((await PostAsync("/session/end", new { roomName = "demo" })).Status, Is.EqualTo(HttpStatusCode.NoContent));
            Assert.That(await _host.Services.GetRequiredService<LiveKitApi>().Rooms.ListAsync(["demo"], default), Is.Empty);
            Assert.That((await PostAsync("/session/end", new { roomName = "demo" })).Status, Is.EqualTo(HttpStatusCode.NotFound));
        }

        Assert.That((await PostAsync("/session/end", new { roomName = "never-was" })).Status, Is.EqualTo(HttpStatusCode.NotFound));
        Assert.That((await PostAsync("/session/end", new { })).Fields, Is.EqualTo(new[] { "roomName" }));
    }

    [Test]
    public async Task The_end_of_an_earlier_room_told_late_does_not_end_its_successor()
    {
        await using var livekit = await FakeLiveKit.StartAsync();
        await using var host = await TestHost.StartAsync([.. livekit.Settings, ("COMPAT_TENANT", "on")]);
        object body = new { userIdentity = "user-1", roomName = "demo" };
        await host.SendAsync(HttpMethod.Post, "/session", null, body);
        await host.SendAsync(HttpMethod.Post, "/session/end", null, body);
        Assert.That((await host.SendAsync(HttpMethod.Post, "/session", null, body)).Status, Is.EqualTo(HttpStatusCode.OK));

        var late = new WebhookEvent { Id = "EV_1", Event = "room_finished", CreatedAt = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds(), Room = new Room { Name = "demo" } };
        Assert.That(await FakeLiveKit.TellAsync(host, late), Is.EqualTo(HttpStatusCode.OK));
        var tenant = await host.CompatTenantAsync();
        Assert.That((await tenant.GetAsync("/v1/sessions")).Body!["data"]!.AsArray().Select(s => s!["status"]!.GetValue<string>()), Is.EqualTo(new[] { "created", "ended" }));

        livekit.Rooms.TryRemove("demo", out _);
        await FakeLiveKit.TellAsync(host, late);
        Assert.That((await tenant.GetAsync("/v1/sessions")).Body!["data"]![0]!["status"]!.GetValue<string>(), Is.EqualTo("ended"));
    }

    [Test]
    public async Task A_room_in_use_is_409_whoever_has_it()
    {
        Assert.That((await PostAsync("/session", new { userIdentity = "user-1", roomName = "mine" })).Status, Is.EqualTo(HttpStatusCode.OK));
        var again = await PostAsync("/session", new { userIdentity = "user-2", roomName = "mine" });
        Assert.That((again.Status, again.Code), Is.EqualTo((HttpStatusCode.Conflict, "session.room_taken")));

        // Another tenant's, by LiveKit's token endpoint; and a room of this server that is no session's.
        var tenant = await _host.SignUpAsync();
        await tenant.CreateAssistantAsync();
        Assert.That((await tenant.PostAsync("/v1/token", new { room_name = "theirs" })).Status, Is.EqualTo(HttpStatusCode.Created));
        Assert.That((await PostAsync("/session", new { userIdentity = "user-1", roomName = "theirs" })).Status, Is.EqualTo(HttpStatusCode.Conflict));
        await _host.Services.GetRequiredService<LiveKitApi>().Rooms.CreateAsync(new CreateRoomRequest { Name = "strangers" }, default);
        Assert.That((await PostAsync("/session", new { userIdentity = "user-1", roomName = "strangers" })).Status, Is.EqualTo(HttpStatusCode.Conflict));

        var answers = await Task.WhenAll(Enumerable.Range(0, 6).Select(n => PostAsync("/session", new { userIdentity = $"user-{n}", roomName = "rush" })));
        Assert.That(answers.Count(a => a.Status == HttpStatusCode.OK), Is.EqualTo(1));
        Assert.That(answers.Where(a => a.Status != HttpStatusCode.OK).Select(a => a.Status), Is.All.EqualTo(HttpStatusCode.Conflict));
    }

    [Test]
    public async Task Browsers_of_any_origin_may_ask_seeds_000_and_001_and_no_other_route()
    {
        foreach (var (path, method, allowed) in new[] { ("/session", "POST", true), ("/session/end", "POST", true), ("/v1/livekit/starter/session/start", "POST", true), ("/health", "GET", true), ("/v1/sessions", "POST", false) })
        {
            using var preflight = new HttpRequestMessage(HttpMethod.Options, path) { Headers = { { "Origin", "https://app.example" }, { "Access-Control-Request-Method", method }, { "Access-Control-Request-Headers", "content-type" } } };
            using var answer = await _host.Http.SendAsync(preflight);
            Assert.That(answer.Headers.Contains("Access-Control-Allow-Origin"), Is.EqualTo(allowed), path);
        }

        var posted = await _host.SendAsync(HttpMethod.Post, "/session", null, new { userIdentity = "user-1" }, ("Origin", "https://app.example"));
        Assert.That(posted.Headers["Access-Control-Allow-Origin"], Is.EqualTo("*"));
    }

    [Test]
    public async Task Health_needs_nothing()
    {
        var health = await _host.SendAsync(HttpMethod.Get, "/health", null);
        Assert.That((health.Status, health.Get<string>("status")), Is.EqualTo((HttpStatusCode.OK, "ok")));
    }

    [Test]
    public async Task Switched_off_its_routes_are_not_there()
    {
        await using var off = await TestHost.SharedAsync();
        foreach (var path in new[] { "/session", "/session/end", "/v1/livekit/starter/session/start", "/v1/livekit/starter/agent/chat" })
        {
            Assert.That((await off.SendAsync(HttpMethod.Post, path, null, new { userIdentity = "user-1", username = "a", deviceId = "device-1" })).Status, Is.EqualTo(HttpStatusCode.NotFound), path);
        }
    }

    [TestCase(true, HttpStatusCode.NotFound)]
    [TestCase(false, HttpStatusCode.OK)]
    public async Task Call_look_ups_are_404_in_production(bool inProduction, HttpStatusCode expected)
    {
        await using var host = inProduction
            ? await TestHost.StartAsync(("VOICEPLATFORM_ENV", "production"), ("SECRETS_KEY", "a secret of thirty-two characters, or more"), ("KEY_CREATION", "open"))
            : _host;
        await using var source = Npgsql.NpgsqlDataSource.Create(host.Database.Owner);
        await using var insert = source.CreateCommand(
            """
            INSERT INTO call.calls (id, tenant_id, direction, status, assistant_id, assistant_version, assistant_name, trunk_id, from_number, to_number, is_test, metadata, variables, voicemail, retry,
              ring_timeout_s, max_duration_s, is_seed_003, created_at, record, record_separate, room_name)
            VALUES ('cal1', 'ten1', 'inbound', 'ringing', 'ast1', 1, 'A', 'trk1', '+15550100', '+15550101', false, '{}', '{}', '{}', '{}', 30, 60, false, now(), false, false, 'call-1')
            """);
        await insert.ExecuteNonQueryAsync();
        Assert.That((await host.SendAsync(HttpMethod.Get, "/telephony/calls/cal1", null)).Status, Is.EqualTo(expected));
        Assert.That((await host.SendAsync(HttpMethod.Get, "/telephony/calls/by-room/call-1", null)).Status, Is.EqualTo(expected));
    }

    [Test]
    public async Task The_webhook_is_401_with_a_wrong_hash_200_before_the_work_is_done_and_works_a_duplicate_once()
    {
        await using var bench = await PhoneBench.StartAsync();
        var trunk = (await bench.Tenant.PostAsync("/v1/trunks", new { name = "In", direction = "inbound", allowed_addresses = new[] { "127.0.0.0/8" } })).Get<string>("id");
        await bench.Tenant.PostAsync("/v1/numbers", new { number = "+15550200", trunk_id = trunk, assistant_id = bench.Assistant });
        Assert.That(async () => (await bench.Tenant.GetAsync($"/v1/trunks/{trunk}")).Body!["sync"]!["status"]!.GetValue<string>(), Is.EqualTo("synced").After(20_000, 50));
        var ring = PhoneBench.Ring("call-x1", bench.LiveKit.InboundTrunks.Keys.Single(), "+15550200");

        Assert.That(await FakeLiveKit.TellAsync(bench.Host, ring, "/telephony/livekit-webhook", new ApiKey(FakeLiveKit.Key.Id, "another secret than the one of the server")), Is.EqualTo(HttpStatusCode.Unauthorized));
        Assert.That((await bench.Host.SendAsync(HttpMethod.Post, "/telephony/livekit-webhook", null, "{}")).Status, Is.EqualTo(HttpStatusCode.Unauthorized));

        var told = await Task.WhenAll(FakeLiveKit.TellAsync(bench.Host, ring, "/telephony/livekit-webhook"), FakeLiveKit.TellAsync(bench.Host, ring, "/telephony/livekit-webhook"));
        Assert.That(told, Is.All.EqualTo(HttpStatusCode.OK));
        Assert.That(() => bench.LiveKit.Dispatched.Count, Is.EqualTo(1).After(20_000, 50));
        Assert.That((await bench.Tenant.GetAsync("/v1/calls")).Body!["data"]!.AsArray(), Has.Count.EqualTo(1));
        Assert.That(bench.LiveKit.Dispatched, Has.Count.EqualTo(1));
    }

    [TestCase("LIVEKIT_API_KEY")]
    [TestCase("LIVEKIT_API_SECRET")]
    public void A_missing_livekit_credential_stops_the_start(string missing)
    {
        (string Name, string Value)[] all = [("LIVEKIT_URL", "wss://livekit.example"), ("LIVEKIT_API_KEY", "k"), ("LIVEKIT_API_SECRET", "s")];
        Assert.That(async () => await TestHost.StartAsync([.. all.Where(s => s.Name != missing)]), Throws.Exception.With.Message.Contains(missing));
        Assert.That(async () => await TestHost.StartAsync(("LIVEKIT_URL", "wss://livekit.example")), Throws.Exception.With.Message.Contains("LIVEKIT_API_KEY"));
    }

    [Test]
    public void A_wrong_compat_tenant_stops_the_start()
    {
        Assert.That(async () => await TestHost.StartAsync(("COMPAT_TENANT", "perhaps")), Throws.Exception.With.Message.Contains("COMPAT_TENANT"));
        Assert.That(async () => await TestHost.StartAsync(("COMPAT_TENANT", "ten00000000000000000000000000")), Throws.Exception.With.Message.Contains("COMPAT_TENANT"));
    }

    [Test]
    [RealTime]
    public async Task The_agent_of_the_inline_configuration_comes_and_greets_as_told()
    {
        await using var host = await TestHost.StartWithAgentAsync(("COMPAT_TENANT", "on"));
        var answer = await host.SendAsync(HttpMethod.Post, "/session", null, new { userIdentity = "user-1", roomName = "salon", agentConfig = Local });
        Assert.That(answer.Get<bool>("agentDispatched"), Is.True, answer.Body?.ToJsonString());
        await using (var visitor = await Visitor.JoinAsync(answer.Get<string>("livekitUrl"), answer.Get<string>("userToken")))
        {
            await visitor.UntilAsync(() => visitor.Shown.Contains($"assistant-ai-agent: {Greeting}") && visitor.AudibleFrames > 20, "the greeting");
            Assert.That((await host.SendAsync(HttpMethod.Post, "/session/end", null, new { roomName = "salon" })).Status, Is.EqualTo(HttpStatusCode.NoContent));
            await visitor.Ended.WaitAsync(TimeSpan.FromSeconds(10));
        }

        var tenant = await host.CompatTenantAsync();
        Assert.That(async () => (await tenant.GetAsync("/v1/sessions")).Body!["data"]![0]!["ended_reason"]?.GetValue<string>(), Is.EqualTo("requested").After(20_000, 50));
        Assert.That((await tenant.BalanceAsync()).Held, Is.Zero);
    }

    private Task<Answer> PostAsync(string path, object body) => _host.SendAsync(HttpMethod.Post, path, null, body);

    private VerifiedToken Verified(string token)
    {
        Assert.That(new TokenVerifier(_host.Services.GetRequiredService<LiveKitServer>().Key, TimeProvider.System).TryVerify(token, out var verified, out var refusal), Is.True, refusal);
        return verified!;
    }
}
