using System.Net;
using Microsoft.Extensions.DependencyInjection;
using VoicePlatform.IntegrationTests.MediaServer;
using VoicePlatform.IntegrationTests.Support;
using VoicePlatform.LiveKit;
using VoicePlatform.LiveKit.Tokens;

namespace VoicePlatform.IntegrationTests.Sessions;

/// <summary>POST /v1/token, LiveKit's standard token endpoint.</summary>
internal sealed class TokenTests
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
    public async Task A_front_end_gets_what_it_asks_for_with_the_assistant_that_it_names()
    {
        await _tenant.CreateAssistantAsync();
        var assistant = await _tenant.CreateAssistantAsync();
        var answer = await _tenant.PostAsync("/v1/token", new
        {
            room_name = "voice_room_12", participant_identity = "visitor-7", participant_name = "Ada", participant_metadata = "m", participant_attributes = new { plan = "gold" },
            room_config = new { name = "", agents = new[] { new { agent_name = "", metadata = $$"""{"assistant_id": "{{assistant}}"}""" } } }, newer_field = 1,
        });
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.Created), answer.Body?.ToJsonString());
        Assert.That(answer.Body!.AsObject().Select(f => f.Key), Is.EquivalentTo(new[] { "server_url", "participant_token" }));
        var token = Verified(answer).Token;
        Assert.That((token.Identity, token.Name, token.Metadata, token.Attributes!["plan"], token.Video!.Room), Is.EqualTo(("visitor-7", "Ada", "m", "gold", "voice_room_12")));
        var session = (await _tenant.GetAsync("/v1/sessions")).Body!["data"]![0]!;
        Assert.That((session["assistant_id"]!.GetValue<string>(), session["room_name"]!.GetValue<string>()), Is.EqualTo((assistant, "voice_room_12")));
    }

    [Test]
    public async Task Asked_again_for_a_running_conversation_its_participant_gets_a_fresh_token_and_nobody_else_does()
    {
        await _tenant.CreateAssistantAsync();
        object body = new { room_name = "room-1", participant_identity = "visitor-7" };
        Assert.That((await _tenant.PostAsync("/v1/token", body)).Status, Is.EqualTo(HttpStatusCode.Created));
        var again = await _tenant.PostAsync("/v1/token", body);
        Assert.That((again.Status, Verified(again).Token.Video!.Room), Is.EqualTo((HttpStatusCode.Created, "room-1")));
        Assert.That((await _tenant.GetAsync("/v1/sessions")).Body!["data"]!.AsArray(), Has.Count.EqualTo(1));

        Assert.That((await _tenant.PostAsync("/v1/token", new { room_name = "room-1", participant_identity = "visitor-8" })).Code, Is.EqualTo("session.room_taken"));
        var stranger = await _host.SignUpAsync("Stranger");
        await stranger.CreateAssistantAsync();
        Assert.That((await stranger.PostAsync("/v1/token", body)).Code, Is.EqualTo("session.room_taken"));
    }

    [Test]
    public async Task Without_a_name_the_tenants_only_assistant_is_meant_and_with_doubt_it_is_asked_for()
    {
        const string Field = "room_config.agents[0].metadata";
        var none = await _tenant.PostAsync("/v1/token", new { });
        Assert.That((none.Status, none.Fields.Single()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, Field)));

        var assistant = await _tenant.CreateAssistantAsync();
        var only = await _tenant.PostAsync("/v1/token", new { room_name = "", participant_identity = "" });
        Assert.That(Verified(only).Token.Video!.Room, Does.StartWith($"agent_{assistant}_usr"));

        var second = await _tenant.CreateAssistantAsync();
        Assert.That((await _tenant.PostAsync("/v1/token", new { })).Fields, Is.EqualTo(new[] { Field }));
        var key = await _tenant.PostAsync("/v1/keys", new { name = "front end", scopes = new[] { "operate" }, default_assistant_id = second });
        Assert.That(Verified(await _tenant.WithKey(key.Get<string>("key")).PostAsync("/v1/token", new { })).Token.Video!.Room, Does.StartWith($"agent_{second}_usr"));
        foreach (var (metadata, status) in new[] { ("nonsense", 422), ("[]", 422), ("""{"assistant_id": 7}""", 422), ("""{"assistant_id": "ast00000000000000000000000000"}""", 404) })
        {
            var answer = await _tenant.PostAsync("/v1/token", new { room_config = new { agents = new[] { new { metadata } } } });
            Assert.That((int)answer.Status, Is.EqualTo(status), metadata);
        }

        Assert.That((await _tenant.PostAsync("/v1/token", new { room_name = "agent_x" })).Status, Is.EqualTo(HttpStatusCode.UnprocessableEntity));
        Assert.That((await _host.SendAsync(HttpMethod.Post, "/v1/token", null, new { })).Status, Is.EqualTo(HttpStatusCode.Unauthorized));
    }

    [Test]
    public async Task Livekits_own_client_reads_the_answer()
    {
        var assistant = await _tenant.CreateAssistantAsync();
        await _tenant.CreateAssistantAsync();
        var server = _host.Services.GetRequiredService<LiveKitServer>();
        await using var script = await NodeScript.StartAsync(
            "token.mjs", server.WebSocketUrl, server.Key.Id, server.Key.Secret,
            ("TOKEN_ENDPOINT", $"{_host.Http.BaseAddress}v1/token"), ("TENANT_KEY", _tenant.Key), ("ASSISTANT_ID", assistant));
        var got = await script.StepAsync("token");
        Assert.That(got.GetProperty("serverUrl").GetString(), Does.StartWith("ws://127.0.0.1:"));
        Assert.That(new TokenVerifier(server.Key, TimeProvider.System).TryVerify(got.GetProperty("participantToken").GetString(), out var token, out var refusal), Is.True, refusal);
        Assert.That((token!.Token.Identity, token.Token.Name, token.Token.Video!.Room), Is.EqualTo(("visitor-7", "Ada", "from-livekits-client")));
        Assert.That((await _tenant.GetAsync("/v1/sessions")).Body!["data"]![0]!["assistant_id"]!.GetValue<string>(), Is.EqualTo(assistant));
    }

    private VerifiedToken Verified(Answer answer)
    {
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.Created), answer.Body?.ToJsonString());
        Assert.That(
            new TokenVerifier(_host.Services.GetRequiredService<LiveKitServer>().Key, TimeProvider.System).TryVerify(answer.Get<string>("participant_token"), out var verified, out var refusal),
            Is.True, refusal);
        return verified!;
    }
}
