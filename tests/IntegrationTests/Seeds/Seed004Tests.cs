using System.Net;
using Microsoft.Extensions.DependencyInjection;
using VoicePlatform.IntegrationTests.Support;
using VoicePlatform.LiveKit;
using VoicePlatform.LiveKit.Tokens;

namespace VoicePlatform.IntegrationTests.Seeds;

/// <summary>Seed 004 as its clients know it: POST /v1/voice/sessions and its relatives.</summary>
internal sealed class Seed004Tests
{
    private TestHost _host = null!;
    private TestTenant _tenant = null!;

    [SetUp]
    public async Task SetUpAsync()
    {
        _host = await TestHost.SharedAsync();
        _tenant = await _host.SignUpAsync();
    }

    [TearDown]
    public async Task TearDownAsync() => await _host.DisposeAsync();

    [Test]
    public async Task Success_has_four_fields_and_an_hours_token_for_the_room_in_the_users_name()
    {
        var agent = await _tenant.CreateAssistantAsync();
        var answer = await _tenant.PostAsync("/v1/voice/sessions", new { agent_id = agent, something_newer = true });

        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.OK), answer.Body?.ToJsonString());
        Assert.That(answer.Body!.AsObject().Select(f => f.Key), Is.EquivalentTo(new[] { "room_name", "token", "livekit_url", "agent_name" }));
        Assert.That(answer.Get<string>("agent_name"), Is.EqualTo("Scripted"));
        Assert.That(answer.Get<string>("livekit_url"), Does.StartWith("ws://127.0.0.1:"));

        var server = _host.Services.GetRequiredService<LiveKitServer>();
        Assert.That(new TokenVerifier(server.Key, TimeProvider.System).TryVerify(answer.Get<string>("token"), out var token, out var refusal), Is.True, refusal);
        var room = answer.Get<string>("room_name");
        var user = token!.Token.Identity;
        Assert.That(user, Does.StartWith("usr"));
        Assert.That(room, Does.Match($"^agent_{agent}_{user}_[0-9]{{13}}$"));
        var video = token.Token.Video!;
        Assert.That((video.Room, video.RoomJoin, video.CanPublish, video.CanSubscribe, video.CanPublishData, video.RoomAdmin), Is.EqualTo((room, true, true, true, true, false)));
        Assert.That(token.ExpiresAt, Is.EqualTo(TimeProvider.System.GetUtcNow().AddSeconds(3600)).Within(TimeSpan.FromSeconds(20)));
    }

    [TestCase("""{}""")]
    [TestCase("""{"agent_id": ""}""")]
    [TestCase("""{"agent_id": null}""")]
    [TestCase("""{"agent_id": 7}""")]
    [TestCase("""nonsense""")]
    public async Task A_missing_agent_id_is_400(string body)
    {
        var answer = await _tenant.PostAsync("/v1/voice/sessions", body);
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.BadRequest), answer.Body?.ToJsonString());
        Assert.That(answer.Body!["code"], Is.Not.Null);
    }

    [TestCase(null)]
    [TestCase("lvk_0000000000000000000000000000000000000000000000000000000000000000")]
    public async Task A_bad_key_is_401(string? key) =>
        Assert.That((await _host.SendAsync(HttpMethod.Post, "/v1/voice/sessions", key, new { agent_id = "x" })).Status, Is.EqualTo(HttpStatusCode.Unauthorized));

    [Test]
    public async Task Zero_balance_is_402_and_leaves_nothing()
    {
        await using var poor = await TestHost.StartAsync(("BILLING_SIGNUP_CREDITS", "0"));
        var tenant = await poor.SignUpAsync();
        var answer = await tenant.PostAsync("/v1/voice/sessions", new { agent_id = await tenant.CreateAssistantAsync() });
        Assert.That((answer.Status, answer.Code), Is.EqualTo((HttpStatusCode.PaymentRequired, "billing.insufficient_credits")));
        Assert.That((await tenant.GetAsync("/v1/sessions")).Body!["data"]!.AsArray(), Is.Empty);
    }

    [Test]
    public async Task Another_organisations_agent_is_404_and_so_is_one_that_nobody_has()
    {
        var other = await _host.SignUpAsync("Other");
        var agent = await other.CreateAssistantAsync();
        Assert.That((await _tenant.PostAsync("/v1/voice/sessions", new { agent_id = agent })).Status, Is.EqualTo(HttpStatusCode.NotFound));
        Assert.That((await _tenant.PostAsync("/v1/chat/sessions", new { agent_id = agent })).Status, Is.EqualTo(HttpStatusCode.NotFound));
        Assert.That((await _tenant.PostAsync("/v1/voice/sessions", new { agent_id = "5b710eca" })).Status, Is.EqualTo(HttpStatusCode.NotFound));
    }

    [Test]
    public async Task A_text_agent_is_400_for_voice_and_chats()
    {
        var agent = await _tenant.CreateAssistantAsync(new { name = "Writer", architecture = "text", llm = new { model = "local/script", options = new { otherwise = "Noted." } } });
        var refused = await _tenant.PostAsync("/v1/voice/sessions", new { agent_id = agent });
        Assert.That((refused.Status, refused.Code), Is.EqualTo((HttpStatusCode.BadRequest, "assistant.text_only")));

        var chat = await _tenant.PostAsync("/v1/chat/sessions", new { agent_id = agent });
        Assert.That((chat.Status, chat.Get<string>("agent_name")), Is.EqualTo((HttpStatusCode.OK, "Writer")), chat.Body?.ToJsonString());
        var id = chat.Get<string>("id");
        Assert.That((await _tenant.PostAsync($"/v1/sessions/{id}/messages", new { text = "milk" })).Get<string>("text"), Is.EqualTo("Noted."));
        Assert.That((await _tenant.PostAsync($"/v1/sessions/{id}/end")).Get<string>("status"), Is.EqualTo("ended"));
    }

    [TestCase("realtime", "realtime.model", "openai/gpt-realtime")]
    [TestCase("pipeline", "stt.model", "deepgram/nova-3")]
    public async Task An_agent_whose_provider_is_not_here_is_400_and_named(string architecture, string field, string model)
    {
        var agent = await _tenant.CreateAssistantAsync(new { name = "X", architecture, realtime = new { model = "openai/gpt-realtime" }, stt = new { model = "deepgram/nova-3" } });
        var refused = await _tenant.PostAsync("/v1/voice/sessions", new { agent_id = agent });
        Assert.That((refused.Status, refused.Code), Is.EqualTo((HttpStatusCode.BadRequest, "assistant.provider_missing")));
        Assert.That((refused.Fields.Single(), refused.Get<string>("detail")), Is.EqualTo((field, $"'{field}': This installation has no {(field == "stt.model" ? "" : "realtime ")}provider for '{model}'.")));
        Assert.That((await _tenant.PostAsync("/v1/sessions", new { agent_id = agent })).Status, Is.EqualTo(HttpStatusCode.UnprocessableEntity));
        Assert.That((await _tenant.BalanceAsync()).Held, Is.Zero);
    }

    [Test]
    public async Task A_room_that_cannot_be_made_is_500_and_gives_the_credits_back()
    {
        await using var livekit = await FakeLiveKit.StartAsync();
        await using var host = await TestHost.StartAsync(livekit.Settings);
        var tenant = await host.SignUpAsync();
        var agent = await tenant.CreateAssistantAsync();
        livekit.IsDown = true;
        var answer = await tenant.PostAsync("/v1/voice/sessions", new { agent_id = agent });
        Assert.That((answer.Status, answer.Code), Is.EqualTo((HttpStatusCode.InternalServerError, "media.unavailable")));
        Assert.That((await tenant.BalanceAsync()).Held, Is.Zero);
        Assert.That((await tenant.PostAsync("/v1/sessions", new { agent_id = agent })).Status, Is.EqualTo(HttpStatusCode.ServiceUnavailable));
    }

    [Test]
    public async Task A_voice_session_is_ended_by_its_rooms_name_too()
    {
        var room = (await _tenant.PostAsync("/v1/voice/sessions", new { agent_id = await _tenant.CreateAssistantAsync() })).Get<string>("room_name");
        Assert.That((await (await _host.SignUpAsync("Other")).PostAsync($"/v1/sessions/{room}/end")).Status, Is.EqualTo(HttpStatusCode.NotFound));
        Assert.That((await _tenant.PostAsync($"/v1/sessions/{room}/end")).Get<string>("ended_reason"), Is.EqualTo("requested"));
        Assert.That((await _tenant.BalanceAsync()).Held, Is.Zero);
    }

    [Test]
    [RealTime]
    public async Task The_room_of_the_answer_has_the_agent_and_it_speaks()
    {
        await using var host = await TestHost.StartWithAgentAsync();
        var tenant = await host.SignUpAsync();
        var agent = await tenant.CreateAssistantAsync(new { name = "Bistro", greeting = new { text = "Welcome to the bistro." } });
        var answer = await tenant.PostAsync("/v1/voice/sessions", new { agent_id = agent });
        await using var visitor = await Visitor.JoinAsync(answer.Get<string>("livekit_url"), answer.Get<string>("token"));
        await visitor.UntilAsync(() => visitor.Shown.Contains("assistant-ai-agent: Welcome to the bistro.") && visitor.AudibleFrames > 20, "the greeting");
    }
}
