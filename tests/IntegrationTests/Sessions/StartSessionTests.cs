using System.Net;
using Microsoft.Extensions.DependencyInjection;
using VoicePlatform.IntegrationTests.Support;
using VoicePlatform.LiveKit;
using VoicePlatform.LiveKit.ServerApi;
using VoicePlatform.LiveKit.Tokens;

namespace VoicePlatform.IntegrationTests.Sessions;

/// <summary>POST /v1/sessions, in the contract's order: key, assistant, credits, capacity, room, token.</summary>
internal sealed class StartSessionTests
{
    [Test]
    public async Task A_voice_session_has_a_room_and_a_token_for_it()
    {
        await using var host = await TestHost.SharedAsync();
        var tenant = await host.SignUpAsync();
        var assistant = await tenant.CreateAssistantAsync();

        var answer = await tenant.PostAsync("/v1/sessions", new { assistant_id = assistant, participant = new { identity = "web_user_7", name = "Web", attributes = new { plan = "gold" } } });

        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.Created), answer.Body?.ToJsonString());
        var room = answer.Get<string>("room_name");
        Assert.That(room, Does.Match($"^agent_{assistant}_web_user_7_[0-9]{{13}}$"));
        var server = host.Services.GetRequiredService<LiveKitServer>();
        Assert.That(new TokenVerifier(server.Key, TimeProvider.System).TryVerify(answer.Get<string>("token"), out var token, out var refusal), Is.True, refusal);
        Assert.That((token!.Token.Identity, token.Token.Name, token.Token.Attributes!["plan"]), Is.EqualTo(("web_user_7", "Web", "gold")));
        Assert.That((token.Token.Video!.Room, token.Token.Video.RoomJoin, token.Token.Video.RoomAdmin), Is.EqualTo((room, true, false)));
        Assert.That(token.ExpiresAt, Is.EqualTo(TimeProvider.System.GetUtcNow().AddHours(1)).Within(TimeSpan.FromMinutes(1)));

        using var scope = host.Services.CreateScope();
        var livekit = scope.ServiceProvider.GetRequiredService<LiveKitApi>();
        Assert.That(await livekit.Rooms.ListAsync([room], CancellationToken.None), Has.Count.EqualTo(1));
        var dispatches = await livekit.Dispatches.ListAsync(room, null, CancellationToken.None);
        Assert.That(dispatches.Single().AgentName, Is.EqualTo("voice-agent"));

        Assert.That((await tenant.PostAsync($"/v1/sessions/{answer.Get<string>("id")}/end")).Get<string>("ended_reason"), Is.EqualTo("requested"));
        Assert.That(async () => await livekit.Rooms.ListAsync([room], CancellationToken.None), Is.Empty.After(20_000, 100));
        Assert.That((await tenant.BalanceAsync()).Held, Is.Zero);
    }

    [Test]
    public async Task Without_credits_nothing_starts_and_nothing_stays()
    {
        await using var host = await TestHost.StartAsync(("BILLING_SIGNUP_CREDITS", "0"));
        var tenant = await host.SignUpAsync();
        var assistant = await tenant.CreateAssistantAsync();

        var refused = await tenant.PostAsync("/v1/sessions", new { assistant_id = assistant });
        Assert.That((refused.Status, refused.Code), Is.EqualTo((HttpStatusCode.PaymentRequired, "billing.insufficient_credits")));
        Assert.That((await tenant.GetAsync("/v1/sessions")).Body!["data"]!.AsArray(), Is.Empty);

        var topUp = await host.SendAsync(HttpMethod.Post, "/v1/billing/topups", TestHost.AdminKey, new { tenant_id = tenant.TenantId, amount = 100_000_000, external_reference = "inv-1" });
        Assert.That(topUp.Status, Is.EqualTo(HttpStatusCode.Created));
        Assert.That((await tenant.PostAsync("/v1/sessions", new { assistant_id = assistant })).Status, Is.EqualTo(HttpStatusCode.Created));
    }

    [Test]
    public async Task Credits_for_one_are_not_credits_for_ten()
    {
        await using var host = await TestHost.StartAsync(("BILLING_SIGNUP_CREDITS", "1"));
        var tenant = await host.SignUpAsync();
        var assistant = await tenant.CreateAssistantAsync(new { name = "T", architecture = "text" });

        var answers = await Task.WhenAll(Enumerable.Range(0, 30).Select(_ => tenant.PostAsync("/v1/sessions", new { assistant_id = assistant, text_only = true })));

        var (available, held) = await tenant.BalanceAsync();
        var started = answers.Count(a => a.Status == HttpStatusCode.Created);
        Assert.That(answers.Where(a => a.Status != HttpStatusCode.Created).Select(a => a.Status), Is.All.EqualTo(HttpStatusCode.PaymentRequired));
        Assert.That(started, Is.InRange(1, 29));
        Assert.That(available, Is.InRange(0, held / started));
    }

    [Test]
    public async Task A_refusal_after_the_credits_gives_the_hold_back()
    {
        await using var host = await TestHost.SharedAsync();
        var tenant = await host.SignUpAsync();

        var unknown = await tenant.PostAsync("/v1/sessions", new { assistant_id = await tenant.CreateAssistantAsync(new { name = "X", stt = new { model = "deepgram/nova-3" } }) });
        Assert.That(unknown.Status, Is.EqualTo(HttpStatusCode.UnprocessableEntity));
        Assert.That(unknown.Code, Is.EqualTo("assistant.provider_missing"));
        Assert.That(unknown.Fields, Is.EqualTo(new[] { "stt.model" }));
        Assert.That(unknown.Get<string>("detail"), Does.Contain("deepgram"));

        var text = await tenant.PostAsync("/v1/sessions", new { assistant_id = await tenant.CreateAssistantAsync(new { name = "T", architecture = "text" }) });
        Assert.That((text.Status, text.Code, text.Fields.Single()), Is.EqualTo((HttpStatusCode.BadRequest, "assistant.text_only", "assistant_id")));
        Assert.That((await tenant.BalanceAsync()).Held, Is.Zero);
    }

    [TestCase("""{}""", "assistant_id")]
    [TestCase("""{"assistant_id": "nonsense"}""", "assistant_id")]
    [TestCase("""{"assistant_id": "$A", "metadata": []}""", "metadata")]
    [TestCase("""{"assistant_id": "$A", "participant": {"identity": ""}}""", "participant.identity")]
    public async Task A_bad_request_names_the_field(string body, string field)
    {
        await using var host = await TestHost.SharedAsync();
        var tenant = await host.SignUpAsync();
        var answer = await tenant.PostAsync("/v1/sessions", body.Replace("$A", await tenant.CreateAssistantAsync(), StringComparison.Ordinal));
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.UnprocessableEntity), answer.Body?.ToJsonString());
        Assert.That(answer.Fields, Does.Contain(field));
    }

    [Test]
    public async Task A_caller_who_starts_twice_in_one_millisecond_has_two_rooms()
    {
        await using var host = await TestHost.SharedAsync();
        var tenant = await host.SignUpAsync();
        var assistant = await tenant.CreateAssistantAsync();
        var answers = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => tenant.PostAsync("/v1/sessions", new { assistant_id = assistant })));
        Assert.That(answers.Select(a => a.Status), Is.All.EqualTo(HttpStatusCode.Created), string.Join('\n', answers.Select(a => a.Body?.ToJsonString())));
        Assert.That(answers.Select(a => a.Get<string>("room_name")), Is.Unique);
    }
}
